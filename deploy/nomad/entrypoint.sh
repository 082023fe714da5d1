#!/bin/sh
# Where a scheduler can start the container as root alone and can't uncover its /proc (Nomad's docker driver): covers /proc with a whole one,
# as systempaths=unconfined would have left it, and becomes the image's ordinary user without any capability before the gateway runs.
set -eu
mount -t proc -o nosuid,nodev,noexec proc /proc
exec setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs \
  tini -- slotcast "$@"
