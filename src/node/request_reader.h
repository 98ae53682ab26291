// Reads a request's JavaScript values into plain ones.
// Thread: a JavaScript thread.
#ifndef NODE_ASGI_NODE_REQUEST_READER_H_
#define NODE_ASGI_NODE_REQUEST_READER_H_

#include <string>
#include <vector>

#include "bridge/exchange.h"
#include "node/napi_config.h"

namespace node_asgi::node {

// A latin-1 string's bytes, in one of the spare texts if there is one. lib/ has made sure that no
// character is above U+00FF.
std::string ReadLatin1(napi_env env, napi_value value, std::vector<std::string>* spare);

// The bytes of a Buffer or other Uint8Array, copied; empty for undefined.
std::string ReadBytes(Napi::Value value);

// Flags of a request: lib/abilities.js has the same numbers.
inline constexpr uint32_t kBodyComplete = 1;
inline constexpr uint32_t kWakeLater = 2;  // Runtime::WakeUp::kLater
inline constexpr uint32_t kAbilityShift = 8;

// Arguments: head (latin-1, see bridge::ExchangeRequest), body (Uint8Array or undefined), flags,
// JSON text of the extra scope or undefined, JSON text of the tls extension or undefined.
// `spare_heads`: see ResponseWriter; or null.
bridge::ExchangeRequest ReadRequest(const Napi::CallbackInfo& info,
                                    std::vector<std::string>* spare_heads);

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_REQUEST_READER_H_
