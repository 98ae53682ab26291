// Failure values as JavaScript objects. lib/errors.js makes the Error from them: a native error
// fails `instanceof` in Jest's realms. Thread: a JavaScript thread.
#ifndef NODE_ASGI_NODE_JS_ERROR_H_
#define NODE_ASGI_NODE_JS_ERROR_H_

#include "bridge/failure.h"
#include "node/napi_config.h"

namespace node_asgi::node {

// {code, message, pythonType, traceback, details}
Napi::Object ToFailureObject(Napi::Env env, const bridge::Failure& failure);

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_JS_ERROR_H_
