// The addon's entry: lists what each Node environment gets.
#include "node/environment.h"
#include "node/js_mailbox.h"
#include "node/napi_config.h"
#include "node/python_handler.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new node_asgi::node::Environment);
  exports.Set("Mailbox", node_asgi::node::MailboxWrap::Define(env));
  exports.Set("PythonHandler", node_asgi::node::PythonHandler::Define(env));
  node_asgi::node::DefineRuntimeFunctions(env, exports);
  return exports;
}

NODE_API_MODULE(node_asgi, Init)

}  // namespace
