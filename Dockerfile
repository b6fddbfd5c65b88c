# docker build -t REGISTRY/regkeeper:0.1.0 .
# docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/regkeeper:0.1.0 --push .

# The bundle is the same for every platform: built once, on the builder's own.
FROM --platform=$BUILDPLATFORM docker.io/library/node:24 AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json build.ts ./
COPY src ./src
RUN npm run build

FROM gcr.io/distroless/nodejs24-debian13:nonroot
COPY --from=build /build/dist/regkeeper.mjs /app/regkeeper.mjs
# As a number, so that the kubelet can see that it is not root.
USER 65532:65532
EXPOSE 8443 8080
ENV NODE_ENV=production
ENTRYPOINT ["/nodejs/bin/node", "/app/regkeeper.mjs"]
CMD ["serve"]
