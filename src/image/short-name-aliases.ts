/**
 * Published lists of short-name aliases. A node with such a list in `/etc/containers/registries.conf.d` (CRI-O, Podman, buildah) pulls a short
 * name from where its alias leads, before it looks at its search registries (containers/image pkg/shortnames). OpenShift nodes have them since
 * 4.19 (openshift-docs#116078). Nodes with containerd have none.
 */

export type AliasList = {
  readonly source: string;
  /** The day or month of the state that was read. */
  readonly date: string;
  /** The name without a registry, and the repository that is pulled for it. */
  readonly aliases: Readonly<Record<string, string>>;
};

/**
 * A node may have any of the lists. Aliases that only add Docker Hub as the registry are left out, since they change nothing.
 *
 * Of RHEL's main list, `001-rhel-shortnames.conf`, only a selection is included: it has more than 2,000 names, and each keeps its path in the
 * parts that were read.
 */
export const aliasLists: readonly AliasList[] = [
  {
    source: 'containers/shortnames, as in containers/common 0.50.1 (shortnames.conf)',
    date: '2022-12',
    aliases: {
      centos: 'quay.io/centos/centos',
      skopeo: 'quay.io/skopeo/stable',
      buildah: 'quay.io/buildah/stable',
      podman: 'quay.io/podman/stable',
      'fedora-minimal': 'registry.fedoraproject.org/fedora-minimal',
      fedora: 'registry.fedoraproject.org/fedora',
      'opensuse/tumbleweed': 'registry.opensuse.org/opensuse/tumbleweed',
      'opensuse/tumbleweed-dnf': 'registry.opensuse.org/opensuse/tumbleweed-dnf',
      'opensuse/tumbleweed-microdnf': 'registry.opensuse.org/opensuse/tumbleweed-microdnf',
      'opensuse/leap': 'registry.opensuse.org/opensuse/leap',
      'opensuse/busybox': 'registry.opensuse.org/opensuse/busybox',
      tumbleweed: 'registry.opensuse.org/opensuse/tumbleweed',
      'tumbleweed-dnf': 'registry.opensuse.org/opensuse/tumbleweed-dnf',
      'tumbleweed-microdnf': 'registry.opensuse.org/opensuse/tumbleweed-microdnf',
      leap: 'registry.opensuse.org/opensuse/leap',
      'leap-dnf': 'registry.opensuse.org/opensuse/leap-dnf',
      'leap-microdnf': 'registry.opensuse.org/opensuse/leap-microdnf',
      'tw-busybox': 'registry.opensuse.org/opensuse/busybox',
      'suse/sle15': 'registry.suse.com/suse/sle15',
      'suse/sles12sp5': 'registry.suse.com/suse/sles12sp5',
      'suse/sles12sp4': 'registry.suse.com/suse/sles12sp4',
      'suse/sles12sp3': 'registry.suse.com/suse/sles12sp3',
      sle15: 'registry.suse.com/suse/sle15',
      sles12sp5: 'registry.suse.com/suse/sles12sp5',
      sles12sp4: 'registry.suse.com/suse/sles12sp4',
      sles12sp3: 'registry.suse.com/suse/sles12sp3',
      rhel: 'registry.access.redhat.com/rhel',
      rhel6: 'registry.access.redhat.com/rhel6',
      rhel7: 'registry.access.redhat.com/rhel7',
      ubi7: 'registry.access.redhat.com/ubi7',
      'ubi7-init': 'registry.access.redhat.com/ubi7-init',
      'ubi7-minimal': 'registry.access.redhat.com/ubi7-minimal',
      ubi8: 'registry.access.redhat.com/ubi8',
      'ubi8-minimal': 'registry.access.redhat.com/ubi8-minimal',
      'ubi8-init': 'registry.access.redhat.com/ubi8-init',
      'ubi8-micro': 'registry.access.redhat.com/ubi8-micro',
      'ubi8/ubi': 'registry.access.redhat.com/ubi8/ubi',
      'ubi8/ubi-minimal': 'registry.access.redhat.com/ubi8-minimal',
      'ubi8/ubi-init': 'registry.access.redhat.com/ubi8-init',
      'ubi8/ubi-micro': 'registry.access.redhat.com/ubi8-micro',
      'kali-bleeding-edge': 'docker.io/kalilinux/kali-bleeding-edge',
      'kali-dev': 'docker.io/kalilinux/kali-dev',
      'kali-experimental': 'docker.io/kalilinux/kali-experimental',
      'kali-last-release': 'docker.io/kalilinux/kali-last-release',
      'kali-rolling': 'docker.io/kalilinux/kali-rolling',
      oraclelinux: 'container-registry.oracle.com/os/oraclelinux',
    },
  },
  {
    source: 'containers/shortnames, pull request 72',
    date: '2026-03',
    aliases: { eln: 'registry.fedoraproject.org/eln' },
  },
  {
    source: 'RHEL, 001-rhel-shortnames.conf, in a copy of the package sources: ubi7, ubi8, and names that vendors use on Docker Hub too',
    date: '2022',
    aliases: {
      ...below('registry.access.redhat.com', [
        'ubi7/go-toolset',
        'ubi7/nginx-118',
        'ubi7/nodejs-12',
        'ubi7/nodejs-14',
        'ubi7/php-73',
        'ubi7/python-38',
        'ubi7/ruby-26',
        'ubi7/ruby-27',
        'ubi7/ruby-30',
        'ubi7/s2i-base',
        'ubi7/s2i-core',
        'ubi7/ubi-init',
        'ubi7/ubi-minimal',
        'ubi8/buildah',
        'ubi8/dotnet-31',
        'ubi8/dotnet-31-runtime',
        'ubi8/dotnet-50',
        'ubi8/dotnet-50-runtime',
        'ubi8/dotnet-60',
        'ubi8/dotnet-60-runtime',
        'ubi8/nginx-118',
        'ubi8/nginx-120',
        'ubi8/nodejs-12',
        'ubi8/nodejs-14-minimal',
        'ubi8/nodejs-14',
        'ubi8/openjdk-11',
        'ubi8/openjdk-17',
        'ubi8/openjdk-17-runtime',
        'ubi8/openjdk-8',
        'ubi8/openjdk-8-runtime',
        'ubi8/pause',
        'ubi8/perl-526',
        'ubi8/perl-530',
        'ubi8/php-73',
        'ubi8/php-74',
        'ubi8/podman',
        'ubi8/python-27',
        'ubi8/python-36',
        'ubi8/python-38',
        'ubi8/python-39',
        'ubi8/ruby-25',
        'ubi8/ruby-26',
        'ubi8/ruby-27',
        'ubi8/ruby-30',
        'ubi8/s2i-base',
        'ubi8/s2i-core',
        'ubi8/ubi-init',
        'ubi8/ubi-micro',
        'ubi8/ubi-minimal',
        'ubi8/ubi',
      ]),
      ...below('registry.redhat.io', [
        'ubi7-init',
        'ubi7/nginx-120',
        'ubi7/python-27',
        'ubi7/ubi',
        'ubi8/go-toolset',
        'ubi8/httpd-24',
        'ubi8-init',
        'ubi8/openjdk-11-runtime',
        'ubi8/skopeo',
        'appdynamics/cluster-agent-operator',
        'appdynamics/cluster-agent',
        'aquasec/kube-enforcer',
        'wavefronthq/proxy',
        'yugabytedb/yugabyte-platform',
      ]),
      ...below('registry.connect.redhat.com', [
        'anchore/enterprise',
        'anchore/enterprise-ui',
        'appdynamics/java-agent',
        'appdynamics/machine-agent-analytics',
        'appdynamics/machine-agent-netviz',
        'aquasec/aquasec',
        'aquasec/console',
        'aquasec/database',
        'aquasec/enforcer',
        'aquasec/gateway',
        'aquasec/kube-bench',
        'aquasec/scanner',
        'arangodb/arangodb-exporter',
        'arangodb/enterprise',
        'arangodb/kube-arangodb',
        'armory/clouddriver',
        'armory/deck',
        'armory/dinghy',
        'armory/echo',
        'armory/fiat',
        'armory/front50',
        'armory/gate',
        'armory/igor',
        'armory/kayenta',
        'armory/orca',
        'armory/redis',
        'armory/rosco',
        'armory/terraformer',
        'wavefronthq/wavefront-kubernetes-collector',
        'yugabytedb/yugabyte',
      ]),
    },
  },
  {
    source: 'RHEL 9, 001-rhel-shortnames.conf, as in containers/podman issue 24667',
    date: '2024-11',
    aliases: { mongo: 'bds-docker-release.jfrog.io/mongo' },
  },
  {
    source: 'RHEL 9, 002-rhel-shortnames-overrides.conf, in a copy of the package sources',
    date: '2022',
    aliases: {
      skopeo: 'registry.access.redhat.com/ubi9/skopeo',
      'ubi9/skopeo': 'registry.access.redhat.com/ubi9/skopeo',
      'rhel9/skopeo': 'registry.redhat.io/rhel9/skopeo',
      buildah: 'registry.access.redhat.com/ubi9/buildah',
      'ubi9/buildah': 'registry.access.redhat.com/ubi9/buildah',
      'rhel9/buildah': 'registry.redhat.io/rhel9/buildah',
      podman: 'registry.access.redhat.com/ubi9/podman',
      'ubi9/podman': 'registry.access.redhat.com/ubi9/podman',
      'rhel9/podman': 'registry.redhat.io/rhel9/podman',
    },
  },
];

/** Aliases that only add the registry. */
function below(registry: string, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, `${registry}/${name}`]));
}

/** All places that a node with one of the lists may pull the name from, by name. */
export const aliasTargets: ReadonlyMap<string, readonly string[]> = collectTargets();

function collectTargets(): ReadonlyMap<string, readonly string[]> {
  const targets = new Map<string, readonly string[]>();
  for (const [name, target] of aliasLists.flatMap(({ aliases }) => Object.entries(aliases))) {
    targets.set(name, [...new Set([...(targets.get(name) ?? []), target])]);
  }
  return targets;
}
