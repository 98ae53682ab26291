// What the addon keeps for one Node environment (the main thread or a worker), so that tests can
// see it end. Thread: the environment's JavaScript thread. Owner: Node, as instance data. Teardown:
// with the environment.
#ifndef NODE_ASGI_NODE_ENVIRONMENT_H_
#define NODE_ASGI_NODE_ENVIRONMENT_H_

#include "bridge/live_count.h"
#include "node/napi_config.h"

namespace node_asgi::node {

struct Environment {
  [[no_unique_address]] bridge::Counted<bridge::Live::kEnvironment> counted;
};

// The functions that belong to the process: startRuntime, stopRuntime, runtimeInfo, liveCounts.
void DefineRuntimeFunctions(Napi::Env env, Napi::Object exports);

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_ENVIRONMENT_H_
