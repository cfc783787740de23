FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY workers ./workers
RUN npm run build && npm prune --omit=dev

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
# In the exec form, so that SIGTERM reaches the worker and it closes gracefully.
# A small young generation: what a worker reads is garbage soon, and would be let lie around, 30 MB of it, for no gain in speed.
CMD ["node", "--max-semi-space-size=4", "dist/workers/checkpoint-worker.js"]
