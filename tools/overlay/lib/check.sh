# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For checks on the host: results as TAP, and a place for temporary files.

# shellcheck source=tools/overlay/guest/tap.sh
. "$overlay/guest/tap.sh"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dma-heaps.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
