#!/bin/sh
# Builds nothing itself: call it with the CID that the build produced, for example
#   ./deploy.sh "$(ipfs add --recursive --quieter --cid-version=1 dist)"
set -eu
cd "$(dirname "$0")"
SITE_CID=${1:?usage: deploy.sh CID} pinrec apply --yes --target website
