#!/usr/bin/env bash
# gate.sh OLD NEW [options of harness gate]: judges an upgrade of Paddle, and leaves the page in paddle-gate/.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "name the release in use and the one to go to: $0 2.6.2 3.3.1" >&2
  exit 2
fi
folder=${PADDLE_GATE_FOLDER:-paddle-gate} status=0
# Takes gate.toml of this folder as its policy, where there is one.
harness gate --folder "$folder" "$@" || status=$?
case $status in
  0) echo "the upgrade may be merged" ;;
  1) echo "the upgrade is blocked: open $folder/gate.html" >&2 ;;
  3) echo "the gate cannot tell: $folder/gate.html says what was not measured" >&2 ;;
esac
exit "$status"
