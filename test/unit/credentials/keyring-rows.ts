/** Keys of registry secrets, and images for which a kubelet finds them or not. The scenarios on a real node run the same rows with its kubelet. */

type Row = readonly [name: string, key: string, image: string];

/** The key that `docker login` writes for Docker Hub. */
export const hub = 'https://index.docker.io/v1/';

export const keysThatMatch: readonly Row[] = [
  ['of its host', 'reg.example.com', 'reg.example.com/team/app:1'],
  ['with a digest', 'reg.example.com', `reg.example.com/team/app@sha256:${'a'.repeat(64)}`],
  ['with a scheme', 'http://reg.example.com', 'reg.example.com/app'],
  ['with the path of the registry API', 'https://reg.example.com/v2/', 'reg.example.com/app'],
  ['with a path below the API', 'https://reg.example.com/v2/team', 'reg.example.com/team/app'],
  ['with user information, which is left out', 'me@reg.example.com', 'reg.example.com/app'],
  ['with a query, which is left out', 'reg.example.com?x=1', 'reg.example.com/app'],
  ['with an escaped path', 'reg.example.com/te%61m', 'reg.example.com/team/app'],
  ['on its port', 'reg.example.com:5000', 'reg.example.com:5000/app'],
  ['of a path', 'reg.example.com/team', 'reg.example.com/team/app'],
  ['of a path that only begins alike', 'reg.example.com/tea', 'reg.example.com/team/app'],
  ['by a wildcard for one label', '*.example.com', 'reg.example.com/app'],
  ['by a wildcard inside a host', '123456789012.dkr.ecr.*.amazonaws.com', '123456789012.dkr.ecr.eu-west-1.amazonaws.com/app'],
  ['by a wildcard for a part of a label', 'r*g.example.com', 'reg.example.com/app'],
  ['by two wildcards in a label', '*e*.example.com', 'reg.example.com/app'],
  ['in upper case, spelled alike', 'Reg.Example.Com', 'Reg.Example.Com/app'],
  ['at an address', '10.0.0.5:5000', '10.0.0.5:5000/app'],
  ['at an IPv6 address', '[2001:db8::1]:5000', '[2001:db8::1]:5000/app'],
  ['of Docker Hub', hub, 'docker.io/acme/app'],
  ['of Docker Hub without a registry', hub, 'nginx'],
  ['of Docker Hub by its old name', hub, 'index.docker.io/acme/app'],
  ['of Docker Hub by its host', 'docker.io', 'nginx'],
  ['of Docker Hub by its path', 'docker.io/library', 'nginx'],
];

export const keysThatDoNotMatch: readonly Row[] = [
  ['with two ports', 'reg.example.com:1:2', 'reg.example.com:2/app'],
  ['by a class of characters', 'reg[0-3x].example.com', 'reg2.example.com/app'],
  ['of a domain above', '*.example.com', 'example.com/app'],
  ['two labels below a wildcard', '*.example.com', 'a.b.example.com/app'],
  ['on another port', 'reg.example.com:5000', 'reg.example.com:5001/app'],
  ['with the default port', 'reg.example.com', 'reg.example.com:443/app'],
  ['with leading zeros in the port', 'reg.example.com:5000', 'reg.example.com:05000/app'],
  ['in upper case', 'reg.example.com', 'Reg.Example.Com/app'],
  ['at another spelling of an IPv6 address', '[2001:db8::1]:5000', '[2001:db8:0::1]:5000/app'],
  ['of another path', 'reg.example.com/team', 'reg.example.com/other/app'],
  ['below a path that ends with a slash', 'reg.example.com/tea/', 'reg.example.com/team/app'],
  ['with the path of the API without a slash at the end', 'https://index.docker.io/v1', 'nginx'],
  ['of Docker Hub by the name of its server', hub, 'registry-1.docker.io/library/nginx'],
  ['by a port that is a wildcard', 'reg.example.com:*', 'reg.example.com:5000/app'],
  ['by a path that is a wildcard', 'reg.example.com/*/app', 'reg.example.com/team/app'],
  ['by a class that is not closed', 'reg[0-3.example.com', 'reg2.example.com/app'],
  ['by a range that is not complete', 'reg[0-].example.com', 'reg2.example.com/app'],
  ['by an excluding class', 'reg[^a-z].example.com', 'reg2.example.com/app'],
  ['by an empty class', 'reg[].example.com', 'reg2.example.com/app'],
  ['with a space in the host', 'reg .example.com', 'reg.example.com/app'],
  ['with a port that is no number', 'reg.example.com:port', 'reg.example.com/app'],
  ['with a broken escape in the path', 'reg.example.com/%zz', 'reg.example.com/app'],
  ['with brackets that are not closed', '[2001:db8::1', '[2001:db8::1]/app'],
  ['with a control character', 'reg.example.com\n', 'reg.example.com/app'],
];
