#include "python/gil.h"

#include <atomic>
#include <cassert>

#include "python/api.h"

namespace node_asgi::python {
namespace {

thread_local bool is_js_thread = false;
std::atomic<uint64_t> claims_on_js_threads{0};

}  // namespace

GilHeld GilHeld::FromPython() {
  assert(PyGILState_Check() == 1);
  if (is_js_thread) claims_on_js_threads.fetch_add(1);
  return GilHeld();
}

void MarkJsThread() { is_js_thread = true; }

uint64_t GilClaimsOnJsThreads() { return claims_on_js_threads.load(); }

}  // namespace node_asgi::python
