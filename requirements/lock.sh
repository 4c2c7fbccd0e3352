#!/usr/bin/env bash
# Writes the hash-pinned lock files from pyproject.toml. They hold no index address, so that any mirror serves them.
# The runtimes hold several versions back, so they are resolved first and bind the rest: all can live side by side.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -q "$@"; }
compile pyproject.toml --extra openvino --extra litert --extra transformers -o requirements/runtimes.txt
compile pyproject.toml -c requirements/runtimes.txt -o requirements/base.txt
compile pyproject.toml --extra dev -c requirements/base.txt -c requirements/runtimes.txt -o requirements/dev.txt
for extra in tensorflow joblib slurm dashboard dvc roboflow postgresql auth tensorboard wandb s3; do
	compile pyproject.toml --extra "$extra" -c requirements/base.txt -c requirements/runtimes.txt -c requirements/dev.txt \
		-o "requirements/$extra.txt"
done
# For the images in deploy/: the same versions, with the OpenCV that needs no display.
headless=$(mktemp)
sed -n 's/^opencv-python==\([0-9.]*\).*/opencv-python-headless==\1/p' requirements/base.txt >"$headless"
for image in serve tracking; do
	compile "deploy/$image.in" -c requirements/base.txt -c requirements/runtimes.txt -c requirements/dev.txt -c "$headless" \
		-c requirements/postgresql.txt -o "requirements/$image.txt"
done
rm "$headless"
compile pyproject.toml --extra tensorrt -c requirements/runtimes.txt -o requirements/tensorrt.txt ||
	echo "warning: tensorrt could not be locked here" >&2
# Ray and MLflow agree on a pydantic below CPython 3.14 only; a universal lock must be told so, and not by requires-python,
# whose upper end uv leaves out of account. Bounded so, every dependency must have a wheel for each of the machines named.
bounded=$(mktemp -d)
trap 'rm -r "$bounded"' EXIT
{
	cat pyproject.toml
	echo "[tool.uv]"
	echo "environments = ["
	for machine in "sys_platform == 'linux' and platform_machine == 'x86_64'" \
		"sys_platform == 'linux' and platform_machine == 'aarch64'" "sys_platform == 'darwin'"; do
		echo "\"python_version < '3.14' and platform_python_implementation == 'CPython' and $machine\","
	done
	echo "]"
} >"$bounded/pyproject.toml"
locks=$PWD/requirements
held=()
for lock in base runtimes dev; do held+=(-c "$locks/$lock.txt"); done
(cd "$bounded" && compile pyproject.toml --extra ray "${held[@]}" -o "$locks/ray.txt")
echo "uv==0.13.8" | compile - -o requirements/uv.txt
