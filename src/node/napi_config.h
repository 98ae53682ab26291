// The one place that includes Node-API and libuv.
#ifndef NODE_ASGI_NODE_NAPI_CONFIG_H_
#define NODE_ASGI_NODE_NAPI_CONFIG_H_

#include <napi.h>
#include <uv.h>

#endif  // NODE_ASGI_NODE_NAPI_CONFIG_H_
