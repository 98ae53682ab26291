#include "node/js_error.h"

namespace node_asgi::node {

Napi::Object ToFailureObject(Napi::Env env, const bridge::Failure& failure) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("code", failure.code);
  object.Set("message", failure.message);
  object.Set("pythonType", failure.python_type);
  object.Set("traceback", failure.traceback);
  object.Set("details", failure.details);
  return object;
}

}  // namespace node_asgi::node
