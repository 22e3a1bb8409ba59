# syntax=docker/dockerfile:1

# Builds with everything a native module needs; nothing of it is in the image that runs.
FROM node:26-trixie AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.ui.json bundle.js ./
COPY src ./src
# `prepare` makes dist of src.
RUN npm ci
RUN npm prune --omit=dev --ignore-scripts

FROM node:26-trixie-slim
# Memory that one thread lets go of serves others, which makes the process 20 MB smaller.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    HECATE_LISTEN_HOST=0.0.0.0 \
    HECATE_LISTEN_PORT=8088 \
    HECATE_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE openapi-examples.json ./
COPY assets ./assets
COPY migrations ./migrations
COPY detections ./detections
RUN mkdir --mode=0700 /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8088
# HTTP, or HTTPS where a certificate is configured, whatever name it is for.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "const at = `://127.0.0.1:${process.env.HECATE_LISTEN_PORT}/healthz`, done = res => process.exit(res.statusCode === 200 ? 0 : 1); http.get('http' + at, done).on('error', () => https.get('https' + at, { rejectUnauthorized: false }, done).on('error', () => process.exit(1)))"]
# Node as process 1 hears SIGTERM itself; a shell or npm between would swallow it.
CMD ["node", "dist/main.js", "serve"]
