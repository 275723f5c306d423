#!/usr/bin/env bash
# Runs exported models in clients that are not of this project: TensorFlow's C API, TensorFlow Serving's messages over
# gRPC, ONNX Runtime, LiteRT's CompiledModel, MediaPipe Tasks in Python and, on the page of examples/web, in Chromium.
#
#   scripts/test_clients.sh [MODEL_DIR IMAGE]
#
# Without arguments the toy detector of the tests is used. Makes .venv first where it is missing, and .venv_clients beside
# it for the packages that only this needs; npm and, where there is none, Debian's Chromium are taken if they can be had.
# What cannot be had is skipped, and pytest says so.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
if [ $# -ne 0 ] && [ $# -ne 2 ]; then
  nasfpn_say "Usage: $0 [MODEL_DIR IMAGE]"
  exit 2
fi
if [ $# -eq 2 ]; then
  NASFPN_CLIENTS_MODEL="$(realpath -e "$1")"
  NASFPN_CLIENTS_IMAGE="$(realpath -e "$2")"
  export NASFPN_CLIENTS_MODEL NASFPN_CLIENTS_IMAGE
fi
cd "$NASFPN_ROOT"

# Without their dependencies: mediapipe's and tensorflow-serving-api's replace packages of .venv, which has what they use.
packages=(mediapipe==1.2.2 sounddevice==0.5.6 tensorflow-serving-api==2.20.0 tf2onnx==1.17.0 onnx==1.23.2
  onnxruntime==1.31.1 tflite-support==0.4.4)
clients="$NASFPN_ROOT/.venv_clients"
if [ "$(cat "$clients/packages" 2>/dev/null)" != "${packages[*]}" ]; then
  nasfpn_say "Making .venv_clients ..."
  "$NASFPN_PYTHON" -m venv --clear "$clients"
  site="$("$clients/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  "$NASFPN_PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/nasfpn.pth"
  "$clients/bin/python" -m pip install --quiet --no-deps "${packages[@]}"
  printf '%s' "${packages[*]}" >"$clients/packages"
fi

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    nasfpn_say "Installing Chromium ..."
    apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null ||
      nasfpn_say "Chromium could not be installed."
  else
    nasfpn_say "No Chromium: install it for the test in the browser."
  fi
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && ! ldconfig -p | grep -q libusb-1.0; then
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends libusb-1.0-0 >/dev/null; } ||
    nasfpn_say "libusb could not be installed, which TFLite Support loads."
fi
if command -v npm >/dev/null; then
  npm install --prefix examples/web --no-audit --no-fund --no-package-lock --silent ||
    nasfpn_say "npm could not install MediaPipe Tasks."
else
  nasfpn_say "No npm: install Node.js for the test in the browser."
fi

exec "$clients/bin/python" -m pytest -m slow -rs tests/export/clients_test.py tests/export/serving_test.py
