// What receive() and send() return: one native object with the coroutine protocol. It finishes at
// once when it need not wait, and otherwise delegates to a real asyncio Future, so that tasks,
// timeouts and cancellation see nothing home-made across a suspension. Thread: the Python thread.
// Owner: Python, through the app's references.
#ifndef NODE_ASGI_PYTHON_READY_AWAITABLE_H_
#define NODE_ASGI_PYTHON_READY_AWAITABLE_H_

#include "bridge/ref_counted.h"
#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::python {

// Does the work behind an awaitable.
class AwaitSource {
 public:
  enum class Step {
    kReady,  // *out is the result
    kWait,   // *out is an asyncio Future; Advance is called again once it is done
    kError,  // a Python error is set
  };
  enum class Entry { kFirst, kResumed };
  // `argument` is what the operation was called with, at the first step only; null afterwards.
  // A Future carries no value, it only wakes: a waiter that is cancelled loses nothing (checklist
  //
  virtual Step Advance(const GilHeld& gil, int operation, Entry entry, Borrowed argument,
                       Owned* out) = 0;
  virtual void RefSource() = 0;
  virtual void UnrefSource() = 0;

 protected:
  ~AwaitSource() = default;
};

// Defines the Python types. Once, after the interpreter started. False with a Python error set.
bool DefineAwaitables(const GilHeld& gil);

// A callable with `arity` (0 or 1) positional arguments; each call makes an awaitable of
// `operation`.
Owned MakeOperation(const GilHeld& gil, AwaitSource& source, int operation, int arity);

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_READY_AWAITABLE_H_
