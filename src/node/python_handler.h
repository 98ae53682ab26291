// The JavaScript class `PythonHandler` of the addon: one app. lib/python-handler.js validates and
// defaults before it calls here. Thread: a JavaScript thread. Owner: JavaScript. Teardown: the app
// itself lives on until stop().
#ifndef NODE_ASGI_NODE_PYTHON_HANDLER_H_
#define NODE_ASGI_NODE_PYTHON_HANDLER_H_

#include <memory>

#include "host/application.h"
#include "node/js_mailbox.h"
#include "node/napi_config.h"

namespace node_asgi::node {

class PythonHandler final : public Napi::ObjectWrap<PythonHandler> {
 public:
  static Napi::Function Define(Napi::Env env);
  // new PythonHandler(mailbox, options)
  explicit PythonHandler(const Napi::CallbackInfo& info);
  // An environment that ends without close() still ends its apps.
  ~PythonHandler() override;

 private:
  // load(token): settles the token once the app serves, or with what went wrong.
  void Load(const Napi::CallbackInfo& info);
  // start(head, body, flags, extraScope, tls) -> slot; -1 busy, -2 closed. See
  // node/request_reader.h; with kWakeLater flushRuntime() follows.
  Napi::Value Start(const Napi::CallbackInfo& info);
  // startSync(head, body, flags, extraScope, tls, timeout) -> [status, headers, body] or a failure
  // object.
  Napi::Value StartSync(const Napi::CallbackInfo& info);
  // stop(token, timeout): settles the token with a report as JSON.
  void Stop(const Napi::CallbackInfo& info);
  // stats() -> {total, failed, inFlight}
  Napi::Value Stats(const Napi::CallbackInfo& info);

  std::shared_ptr<JsMailbox> mailbox_;
  bridge::RefPtr<host::Application> application_;
};

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_PYTHON_HANDLER_H_
