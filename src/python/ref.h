// Owned and borrowed Python references are different types: in by Steal/Borrow, out by Release.
// Thread: the Python thread.
#ifndef NODE_ASGI_PYTHON_REF_H_
#define NODE_ASGI_PYTHON_REF_H_

#include <utility>

#include "bridge/live_count.h"
#include "python/api.h"

namespace node_asgi::python {

// A reference that somebody else keeps alive for as long as this is used.
class Borrowed {
 public:
  Borrowed(PyObject* object)
      : object_(object) {}  // NOLINT(runtime/explicit): C API results are borrowed
  PyObject* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_;
};

class Owned {
 public:
  Owned() = default;
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    Owned old(std::move(*this));
    object_ = std::exchange(other.object_, nullptr);
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { Reset(); }

  // Takes over a new reference, as most C API functions return one. Null stays null.
  static Owned Steal(PyObject* object) {
    if (object != nullptr) bridge::CountUp(bridge::Live::kReference);
    return Owned(object);
  }
  // Adds a reference.
  static Owned Borrow(Borrowed object) {
    if (object) Py_IncRef(object.get());
    return Steal(object.get());
  }

  PyObject* get() const { return object_; }
  operator Borrowed() const { return Borrowed(object_); }  // NOLINT(runtime/explicit)
  explicit operator bool() const { return object_ != nullptr; }

  // Gives the reference away, to a C API function that steals or to a caller in Python.
  PyObject* Release() {
    if (object_ != nullptr) bridge::CountDown(bridge::Live::kReference);
    return std::exchange(object_, nullptr);
  }
  void Reset() {
    if (object_ == nullptr) return;
    bridge::CountDown(bridge::Live::kReference);
    // Cleared first: dropping a reference may run Python code that comes back here.
    Py_DecRef(std::exchange(object_, nullptr));
  }

 private:
  explicit Owned(PyObject* object) : object_(object) {}
  PyObject* object_ = nullptr;
};

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_REF_H_
