// Tells what Python's threads are doing, the loop's among them while it answers nobody: a Python
// thread that waits to be asked. Thread: Start the Python thread; Ask and DumpStacks any that does
// not hold the GIL. Owner: LoopThread. Teardown: none; a daemon thread, parked with the process.
#ifndef NODE_ASGI_PYTHON_WATCHDOG_H_
#define NODE_ASGI_PYTHON_WATCHDOG_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "bridge/mailbox.h"
#include "bridge/waker.h"
#include "python/gil.h"

namespace node_asgi::python {

class Watchdog {
 public:
  Watchdog() : mailbox_(waker_) {}

  // Starts the thread, which takes the calling one for the loop's. False with a Python error set.
  bool Start(const GilHeld& gil);

  // Runs `question` on the watchdog's thread as soon as that gets the GIL.
  void Ask(std::function<void(const GilHeld&)> question);

  // The stack of every Python thread; empty before Start. Blocks up to `patience`; when no thread
  // lets go of the GIL for that long, the stacks are read without it, as they stand still then.
  std::string DumpStacks(std::chrono::milliseconds patience);

 private:
  std::atomic<bool> started_{false};
  bridge::FdWaker waker_;
  bridge::Mailbox<std::function<void(const GilHeld&)>> mailbox_;
};

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_WATCHDOG_H_
