# The gateway in a container, run by an ordinary user under tini. docker-compose.yml has the settings without which no sandbox can be
# made in it; the image refuses to start without them and says which. Never run it as root: see deploy/docker.md.

# What builds: the packages of development, none of which comes into the image.
FROM node:24-bookworm-slim AS build
WORKDIR /opt/slotcast
COPY package.json package-lock.json ./
# No package here needs to run a script of its own, so none may. Nothing is compiled: node-pty comes built.
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY . .
RUN npm run -s build

FROM build AS production
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error

# The end-to-end tests and the attacks, from outside: `docker compose run --rm test`; and from inside: `test-inside`.
FROM build AS test
RUN apt-get update \
  # asciinema plays recordings, python3 and its zipfile read archives, git makes what is archived, procps is asked for processes;
  # bubblewrap and tini are for gateways that tests start.
  && apt-get install --yes --no-install-recommends asciinema bubblewrap git procps python3 tini \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
  && install -d -o 1000 -g 1000 -m 711 /data
USER 1000:1000
ENTRYPOINT ["tini", "--"]
CMD ["node", "scripts/remote-test.mjs"]

FROM node:24-bookworm-slim AS gateway
# What stands in slots beside Node and what Debian always has, for agents that need more: --build-arg SLOT_PACKAGES="python3 vim".
ARG SLOT_PACKAGES=""
# bubblewrap makes sandboxes; tini is pid 1: it hands signals on and reaps what a killed gateway leaves. bash, perl-base and util-linux,
# which the gateway needs as well, are in every Debian. git and ca-certificates are for agents: there is hardly one that never clones.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git tini $SLOT_PACKAGES \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
  && install -d -o 1000 -g 1000 -m 711 /data
WORKDIR /opt/slotcast
COPY --from=production /opt/slotcast/package.json ./
COPY --from=production /opt/slotcast/node_modules ./node_modules
COPY --from=production /opt/slotcast/dist ./dist
# For who has the image alone: `docker run --rm --entrypoint cat IMAGE deploy/seccomp-bwrap.json`.
COPY deploy/seccomp-bwrap.json ./deploy/
COPY deploy/nomad/entrypoint.sh ./deploy/nomad/
RUN chmod 755 dist/cli/main.js && ln -s /opt/slotcast/dist/cli/main.js /usr/local/bin/slotcast
# A port can only be published of what listens on every address of the container; nobody gets in without the token.
ENV NODE_ENV=production \
  HOME=/data \
  SLOTCAST_HOST=0.0.0.0 \
  SLOTCAST_PORT=8080 \
  SLOTCAST_DATA_DIR=/data \
  SLOTCAST_REQUIRE_SANDBOX=true
USER 1000:1000
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["tini", "--", "slotcast"]
CMD ["serve"]
