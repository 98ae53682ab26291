// Intrusive reference counting for objects that cross threads.
// Thread: any. Owner: whoever holds a RefPtr. Teardown: the last RefPtr deletes, on its own thread.
#ifndef NODE_ASGI_BRIDGE_REF_COUNTED_H_
#define NODE_ASGI_BRIDGE_REF_COUNTED_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace node_asgi::bridge {

class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

 protected:
  virtual ~RefCounted() = default;

 private:
  template <class T>
  friend class RefPtr;
  void Ref() const { count_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() const {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  mutable std::atomic<uint32_t> count_{0};
};

template <class T>
class RefPtr {
 public:
  RefPtr() = default;
  RefPtr(std::nullptr_t) {}  // NOLINT(runtime/explicit): reads as an ordinary pointer
  explicit RefPtr(T* raw) : raw_(raw) {
    if (raw_ != nullptr) raw_->Ref();
  }
  RefPtr(const RefPtr& other) : RefPtr(other.raw_) {}
  RefPtr(RefPtr&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  RefPtr& operator=(RefPtr other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~RefPtr() {
    if (raw_ != nullptr) raw_->Unref();
  }

  T* get() const { return raw_; }
  T* operator->() const { return raw_; }
  T& operator*() const { return *raw_; }
  explicit operator bool() const { return raw_ != nullptr; }
  bool operator==(const RefPtr& other) const { return raw_ == other.raw_; }

  // Hands the reference to a C struct; AdoptRaw takes it back.
  T* ReleaseRaw() { return std::exchange(raw_, nullptr); }
  static RefPtr AdoptRaw(T* raw) {
    RefPtr adopted;
    adopted.raw_ = raw;
    return adopted;
  }

 private:
  T* raw_ = nullptr;
};

template <class T, class... Args>
RefPtr<T> MakeRef(Args&&... args) {
  return RefPtr<T>(new T(std::forward<Args>(args)...));
}

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_REF_COUNTED_H_
