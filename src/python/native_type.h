// Python types whose instances hold a C++ struct, without knowing PyObject's layout.
// The struct stands behind the object head, whose size is read from object.__basicsize__ at run
// time. Thread: the Python thread. Teardown: types are leaked on purpose; instances free into a
// small list.
#ifndef NODE_ASGI_PYTHON_NATIVE_TYPE_H_
#define NODE_ASGI_PYTHON_NATIVE_TYPE_H_

#include <new>
#include <utility>

#include "python/call.h"

namespace node_asgi::python {

template <class T>
class NativeType {
 public:
  // `slots` ends before the dealloc slot and the terminator: both are added here. `flags` beside
  // the default.
  static bool Define(const GilHeld& gil, const char* name, std::initializer_list<PyType_Slot> slots,
                     unsigned long flags = 0) {
    const size_t head = HeadSize(gil);
    if (head == 0) return false;
    PyType_Slot all[16];
    size_t count = 0;
    for (const PyType_Slot& slot : slots) all[count++] = slot;
    all[count++] = {Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)};
    all[count] = {0, nullptr};
    PyType_Spec spec = {name, static_cast<int>(head + sizeof(T)), 0,
                        static_cast<unsigned int>(Py_TPFLAGS_DEFAULT | flags), all};
    head_ = head;
    type_ = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    return type_ != nullptr;
  }

  // object.__basicsize__, rounded up to T's alignment; 0 with a Python error set.
  static size_t HeadSize(const GilHeld& gil) {
    const Owned size =
        GetAttribute(gil, reinterpret_cast<PyObject*>(PyBaseObject_Type), "__basicsize__");
    const long bytes = size ? PyLong_AsLong(size.get()) : 0;
    const size_t step = alignof(T);
    return bytes <= 0 ? 0 : (static_cast<size_t>(bytes) + step - 1) / step * step;
  }

  template <class... Args>
  static Owned New(const GilHeld&, Args&&... args) {
    void* memory = free_count_ > 0 ? free_[--free_count_] : PyObject_Malloc(head_ + sizeof(T));
    if (memory == nullptr) return Owned();
    new (static_cast<char*>(memory) + head_) T(std::forward<Args>(args)...);
    return Owned::Steal(PyObject_Init(static_cast<PyObject*>(memory), type_));
  }

  static T& Of(PyObject* self) {
    return *reinterpret_cast<T*>(reinterpret_cast<char*>(self) + head_);
  }
  static PyTypeObject* type() { return type_; }

 private:
  static constexpr size_t kFreeListSize = 256;

  static void Dealloc(PyObject* self) {
    Of(self).~T();
    // The GIL guards the list; a build without GIL must not share it.
    if (free_count_ < kFreeListSize) {
      free_[free_count_++] = self;
    } else {
      PyObject_Free(self);
    }
    // Each instance of a heap type holds a reference to its type.
    Py_DecRef(reinterpret_cast<PyObject*>(type_));
  }

  static inline size_t head_ = 0;
  static inline PyTypeObject* type_ = nullptr;
  static inline void* free_[kFreeListSize];
  static inline size_t free_count_ = 0;
};

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_NATIVE_TYPE_H_
