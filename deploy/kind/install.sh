#!/usr/bin/env bash
# Creates a kind cluster, builds the image, loads it into the nodes and installs regkeeper. README.md shows the same steps as five commands.
# Run it again after you change the sources: the cluster is kept, and the Pods are replaced.
# To use a different cluster, set CLUSTER_NAME (default: regkeeper). To remove everything: kind delete cluster --name regkeeper
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${CLUSTER_NAME:-regkeeper}
# The image name in the manifests. The image is loaded into the nodes, so no registry is needed.
image=$(sed -n 's/^ *image: //p' deploy/program/deployment.yaml)

fail() {
  echo "install.sh: $1" >&2
  exit 1
}
for tool in kind kubectl; do
  command -v "$tool" >/dev/null || fail "$tool is not in PATH. Install it: https://kind.sigs.k8s.io/docs/user/quick-start/"
done
engine=
for candidate in docker podman; do
  if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then
    engine=$candidate
    break
  fi
done
[ -n "$engine" ] || fail 'neither docker nor podman is running. Start one of them.'

if kind get clusters 2>/dev/null | grep -qxF -- "$name"; then
  echo "using the existing kind cluster $name"
else
  kind create cluster --name "$name"
fi

"$engine" build -t "$image" .
if [ "$engine" = docker ]; then
  kind load docker-image "$image" --name "$name"
else
  # kind can load images from engines other than Docker only as an archive.
  directory=$(mktemp -d)
  trap 'rm -rf "$directory"' EXIT
  podman save -o "$directory/image.tar" "$image"
  kind load image-archive "$directory/image.tar" --name "$name"
fi

kubectl() {
  command kubectl --context "kind-$name" "$@"
}
# The Pods of an earlier run have an older image with the same name, so they must be restarted.
earlier=$(kubectl get deployment regkeeper -n regkeeper --ignore-not-found -o name)
if [ -z "$earlier" ]; then
  kubectl apply --server-side --field-manager=regkeeper-install -k deploy/base
else
  # Does not apply the rules, because they may have been edited.
  kubectl apply --server-side --field-manager=regkeeper-install -k deploy/program
  kubectl rollout restart deployment/regkeeper -n regkeeper
fi
kubectl rollout status deployment/regkeeper -n regkeeper --timeout=180s

# The webhooks are registered a moment after the first Pod is ready.
for kind in mutatingwebhookconfiguration validatingwebhookconfiguration; do
  for second in $(seq 60); do
    [ -z "$(kubectl get "$kind" regkeeper -o 'jsonpath={.webhooks[?(@.name!="probe.regkeeper.io")].name}')" ] || break
    [ "$second" -lt 60 ] || fail "the $kind is still empty. The log shows the reason: kubectl logs -n regkeeper -l app.kubernetes.io/name=regkeeper"
    sleep 1
  done
done

cat <<END

regkeeper is installed in the kind cluster $name (context kind-$name). Its rules have mode: audit, so no image is denied yet.
Next:
  kubectl edit configmap regkeeper-rules -n regkeeper     # add your registries, then set mode: enforce
  kubectl run web --image=docker.io/library/nginx --dry-run=server
END
