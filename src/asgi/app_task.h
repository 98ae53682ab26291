// The coroutine that runs an app: what the request's asyncio.Task drives. It calls the app in the
// task's own context, tells its owner when the app suspends and when it ends, and lets nothing but
// a cancellation escape: SystemExit or KeyboardInterrupt would end the loop. Thread: the Python
// thread. Owner: the Task.
#ifndef NODE_ASGI_ASGI_APP_TASK_H_
#define NODE_ASGI_ASGI_APP_TASK_H_

#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::asgi {

class AppTaskOwner {
 public:
  // The app waits for something.
  virtual void OnAppSuspended(const python::GilHeld& gil) = 0;
  // Once. `exception` is null when the app returned `result`.
  virtual void OnAppEnded(const python::GilHeld& gil, python::Owned result,
                          python::Owned exception) = 0;
  virtual void RefOwner() = 0;
  virtual void UnrefOwner() = 0;

 protected:
  ~AppTaskOwner() = default;
};

// Defines the Python type. Once, after the interpreter started. False with a Python error set.
bool DefineAppTask(const python::GilHeld& gil);

// A coroutine object that will call app(scope, receive, send).
python::Owned MakeAppTask(const python::GilHeld& gil, AppTaskOwner& owner, python::Borrowed app,
                          python::Owned scope, python::Owned receive, python::Owned send);

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_APP_TASK_H_
