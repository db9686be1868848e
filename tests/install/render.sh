#!/usr/bin/env bash
# Renders the chart for `detour install`, with names in it that stand for what is chosen later (`detour.install.manifests`).
set -euo pipefail
cd "$(dirname "$0")/../.."
helm=$(tests/kubernetes/tools/helm/build.sh)/helm
"$helm" template detour deploy/helm/detour --namespace server-xx --set namespaces='{mesh-xx}' \
  --set image.repository=image-xx,image.tag=xx
