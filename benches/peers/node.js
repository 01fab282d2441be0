// One room for everybody: what comes is sent to each client in turn, as the package's guide does.

import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 4096 });

server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (message, isBinary) => {
    for (const client of server.clients) {
      client.send(message, { binary: isBinary });
    }
  });
});

server.on("listening", () => {
  console.log(`listens on 127.0.0.1:${server.address().port}`);
});
