// The right to touch Python, as a parameter.
// Thread: whichever holds the GIL; in this addon only the Python thread ever does.
#ifndef NODE_ASGI_PYTHON_GIL_H_
#define NODE_ASGI_PYTHON_GIL_H_

#include <cstdint>

namespace node_asgi::python {

class GilHeld {
 public:
  // For C functions that Python calls, and for the Python thread between its own calls.
  // Debug builds check the claim.
  static GilHeld FromPython();

  GilHeld(const GilHeld&) = delete;
  GilHeld& operator=(const GilHeld&) = delete;

 private:
  GilHeld() = default;
};

// Declares that the calling thread runs JavaScript and must never hold the GIL.
void MarkJsThread();
// How often a thread marked so has claimed it. Anything but 0 is a bug: stats().gilOnJsThread shows
// it.
uint64_t GilClaimsOnJsThreads();

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_GIL_H_
