# docker build -t REGISTRY/regkeeper:0.1.0 .
# docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/regkeeper:0.1.0 --push .
# podman and buildah take it as it is too. deploy/README.md has the rest: pinning, labels, mirrors, OpenShift.

ARG BUILD_IMAGE=docker.io/library/node:24
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

# The bundle is the same for every platform: built once, on the builder's own.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# No package runs code of its own while it is installed: none needs to.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts
COPY tsconfig.json build.ts ./
COPY src ./src
RUN node build.ts

# Nothing runs in this stage, so it needs no emulation, and no shell.
FROM ${RUNTIME_IMAGE}
ARG RUNTIME_IMAGE
# What differs from build to build comes with --label: buildah's cache (1.28 and 1.39) takes a label for the same whatever its arguments are.
LABEL org.opencontainers.image.title="regkeeper" \
      org.opencontainers.image.description="Admission webhook for Kubernetes and OpenShift: one table of registry rules decides which images may enter and which pull or push secret they need" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
COPY --from=build /build/dist/regkeeper.mjs /app/regkeeper.mjs
# The runtime image begins in a home folder that its own user alone may enter, and OpenShift runs containers as somebody else.
WORKDIR /app
# As a number, so that the kubelet can see that it is not root.
USER 65532:65532
EXPOSE 8443 8080
ENV NODE_ENV=production
ENTRYPOINT ["/nodejs/bin/node", "/app/regkeeper.mjs"]
CMD ["serve"]
