{
  "variables": {
    "core_sources": [
      "src/asgi/app_task.cc",
      "src/asgi/extensions.cc",
      "src/asgi/http_cycle.cc",
      "src/asgi/messages.cc",
      "src/asgi/scope.cc",
      "src/bridge/exchange.cc",
      "src/bridge/flow_window.cc",
      "src/bridge/request_head.cc",
      "src/bridge/waker.cc",
      "src/host/application.cc",
      "src/host/deadlines.cc",
      "src/host/dispatcher.cc",
      "src/host/runtime.cc",
      "src/python/coroutine.cc",
      "src/python/error.cc",
      "src/python/function.cc",
      "src/python/gil.cc",
      "src/python/interned.cc",
      "src/python/interpreter.cc",
      "src/python/library.cc",
      "src/python/loop_thread.cc",
      "src/python/ready_awaitable.cc"
    ],
    "addon_sources": [
      "src/addon.cc",
      "src/node/environment.cc",
      "src/node/js_error.cc",
      "src/node/js_mailbox.cc",
      "src/node/python_handler.cc",
      "src/node/request_reader.cc",
      "src/node/response_writer.cc",
      "src/node/sync_sink.cc"
    ]
  }
}
