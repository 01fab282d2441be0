// One room for everybody, published by the runtime itself.

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("a WebSocket only", { status: 426 });
  },
  websocket: {
    open(socket) {
      socket.subscribe("room");
    },
    message(_socket, message) {
      server.publish("room", message);
    },
  },
});

console.log(`listens on 127.0.0.1:${server.port}`);
