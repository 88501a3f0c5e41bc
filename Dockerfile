# Container image of Sentinel: the binary and a settings file. Only /data is writable.
#
#   docker build -t sentinel .
#
# docker-compose.yml runs it with MongoDB, Redis and nginx; see docs/docker.md.

# The minimum supported Rust version; see rust-version in Cargo.toml.
FROM rust:1.90-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked \
    && install -D target/release/sentinel /out/usr/local/bin/sentinel \
    && install -D -m 644 config/container.toml /out/etc/sentinel/sentinel.toml \
    && install -D -m 644 LICENSE /out/usr/share/doc/sentinel/LICENSE \
    # Certification authorities, for rediss:// and mongodb+srv://.
    && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
    # A new volume gets its owner and mode from this folder. OpenShift runs containers under any user id, in group 0.
    && install -d -o 10001 -g 0 -m 770 /out/data

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Sentinel" \
      org.opencontainers.image.description="A standalone OAuth 2.0 token server" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/ /
ENV SENTINEL_CONFIG=/etc/sentinel/sentinel.toml
# A number, because runAsNonRoot of Kubernetes cannot check a name.
USER 10001:10001
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["sentinel", "healthcheck"]
ENTRYPOINT ["sentinel"]
CMD ["serve"]
