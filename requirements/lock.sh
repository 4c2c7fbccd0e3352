#!/usr/bin/env bash
# Writes the hash-pinned lock files from pyproject.toml. They hold no index address, so that any mirror serves them.
# The runtimes hold several versions back, so they are resolved first and bind the rest: all can live side by side.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -q "$@"; }
compile pyproject.toml --extra openvino --extra litert -o requirements/runtimes.txt
compile pyproject.toml -c requirements/runtimes.txt -o requirements/base.txt
for extra in dev joblib dvc roboflow postgresql; do
	compile pyproject.toml --extra "$extra" -c requirements/runtimes.txt -o "requirements/$extra.txt"
done
for extra in tensorrt ray; do
	compile pyproject.toml --extra "$extra" -c requirements/runtimes.txt -o "requirements/$extra.txt" ||
		echo "warning: $extra could not be locked here" >&2
done
echo "uv==0.13.8" | compile - -o requirements/uv.txt
