# The service's image. Build it with BuildKit, from the repository's root:
#
#   docker build --tag app .
#
# No line names the Dockerfile's syntax and no heredoc is used, so engines from 20.10 on build it, with their own frontend.
#
# Packages are not pinned one by one: the base images are, by digest, and what is installed on them is Debian's newest of
# that release, security fixes included.
# hadolint global ignore=DL3008

# Both of the same Debian release: programs that are compiled in one run in the other.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
# Nothing of it is in the image.
ARG NODE_IMAGE=node:22-bookworm-slim


# --- The service's dependencies, compiled from the manifests alone: a layer that lasts until one of these changes.
FROM ${RUST_IMAGE} AS dependencies

RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake nasm \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /build
ENV CARGO_INCREMENTAL=0 SQLX_OFFLINE=true
COPY Cargo.toml Cargo.lock ./
COPY app/Cargo.toml app/
COPY xtask/Cargo.toml xtask/
COPY xtask/checks/Cargo.toml xtask/checks/
COPY xtask/cutover/Cargo.toml xtask/cutover/
COPY xtask/devservers/Cargo.toml xtask/devservers/
COPY xtask/rehearsal/Cargo.toml xtask/rehearsal/
COPY xtask/standin/Cargo.toml xtask/standin/
COPY xtask/testkit/Cargo.toml xtask/testkit/

# An empty library stands for the sources of each member. What is compiled of ours is removed again: cargo compares times,
# and the sources that come next are older than this layer.
#
# A network that inspects TLS has its own certificate authority: the optional secret `ca` is a bundle that takes the place of
# the image's for this one command, and ends in no layer.
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    for member in app xtask xtask/checks xtask/cutover xtask/devservers xtask/rehearsal xtask/standin xtask/testkit; do \
        mkdir $member/src && touch $member/src/lib.rs; \
    done \
 && cargo build --locked --release --package app --lib \
 && cargo clean --locked --release --package app


# --- The service. All it needs was fetched and compiled above.
FROM dependencies AS service

COPY .sqlx .sqlx
COPY app/build.rs app/
COPY app/migrations app/migrations
COPY app/src app/src
RUN cargo build --locked --offline --release --package app --bin app


# --- The packages of the web UI, from the lock file alone: a layer that lasts until that changes. Node.js reads the system's
# certificates only where it is told to.
FROM ${NODE_IMAGE} AS packages

WORKDIR /web
COPY app/web/package.json app/web/package-lock.json app/web/.npmrc ./
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt npm ci --no-audit --no-fund


# --- The web UI. All it needs was installed above.
FROM packages AS web

COPY app/web ./
RUN npm run build


# --- ffmpeg and ffprobe, from Debian's sources, with what frames of uploaded clips take and nothing else. Debian's own
# would bring a hundred libraries, among them a graphics stack and speech synthesis, and could open network addresses.
FROM ${RUST_IMAGE} AS ffmpeg

RUN find /etc/apt '(' -name '*.sources' -o -name sources.list ')' \
      -exec sed -i -e 's/^Types: deb$/& deb-src/' -e 's/^deb \(.*\)/&\ndeb-src \1/' '{}' + \
 && apt-get update \
 && apt-get install --yes --no-install-recommends dpkg-dev libdav1d-dev nasm pkg-config zlib1g-dev \
 && apt-get source --only-source ffmpeg \
 && mv ffmpeg-*/ /ffmpeg \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /ffmpeg
RUN ./configure \
      --disable-everything --disable-autodetect --disable-network --disable-debug --disable-doc --disable-ffplay \
      --disable-avdevice --disable-postproc --disable-swresample \
      --enable-zlib --enable-libdav1d \
      --enable-protocol=file,pipe \
      --enable-demuxer=avi,matroska,mov,ogg \
      --enable-decoder=h263,h264,hevc,libdav1d,mjpeg,mpeg4,prores,theora,vp8,vp9 \
      --enable-parser=av1,h263,h264,hevc,mjpeg,mpeg4video,vp8,vp9 \
      --enable-filter=crop,format,hflip,null,rotate,scale,select,thumbnail,transpose,vflip \
      --enable-encoder=mjpeg,png,rawvideo \
      --enable-muxer=image2,image2pipe,rawvideo \
 && make --jobs "$(nproc)" ffmpeg ffprobe \
 && install ffmpeg ffprobe /usr/local/bin/


# --- What the service runs beside itself: five programs, the libraries that they load and the base lacks, the models for
# English and Finnish, and the certificate authorities.
FROM ${RUNTIME_IMAGE} AS base

FROM base AS programs

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      ca-certificates libavif-bin libdav1d6 libheif-examples tesseract-ocr tesseract-ocr-eng tesseract-ocr-fin \
 && rm -rf /var/lib/apt/lists/*

COPY --from=ffmpeg /usr/local/bin/ffmpeg /usr/local/bin/ffprobe /usr/bin/

# `/lib` is a link to `/usr/lib`: the tree has the libraries where they really are, so that it can be laid over the base.
RUN --mount=type=bind,from=base,target=/base \
    programs=(/usr/bin/avifdec /usr/bin/ffmpeg /usr/bin/ffprobe /usr/bin/heif-convert /usr/bin/tesseract) \
 && models=/usr/share/tesseract-ocr/5/tessdata \
 && libraries=$(ldd "${programs[@]}" | awk '$2 == "=>" { print $3 }' | sed 's,^/lib/,/usr/lib/,' | sort --unique) \
 && mkdir /programs \
 && for file in $libraries; do [ -e "/base$file" ] || cp --parents --dereference "$file" /programs; done \
 && cp --parents --recursive "${programs[@]}" "$models"/{eng,fin}.traineddata "$models"/configs \
      /etc/ssl/certs/ca-certificates.crt /programs


# --- The image: its root file system may be read-only; what the service writes is below /tmp and /data/uploads.
FROM base AS runtime

# A new volume takes over this folder's owner.
RUN install --directory --owner=10001 --group=10001 /data/uploads
COPY --from=programs /programs /
COPY --from=web /web/dist /usr/local/share/app/web
COPY --from=service /build/target/release/app /usr/local/bin/app

LABEL org.opencontainers.image.title="app" org.opencontainers.image.licenses="MIT"
ENV HOST=0.0.0.0 PORT=3000 UPLOAD_DIR=/data/uploads SPOOL_DIR=/tmp/spool STATIC_DIR=/usr/local/share/app/web
EXPOSE 3000
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["app", "health"]
ENTRYPOINT ["/usr/local/bin/app"]
CMD ["serve"]

# Last, because each release has another.
ARG SERVICE_VERSION=unversioned
ENV SERVICE_VERSION=${SERVICE_VERSION}
