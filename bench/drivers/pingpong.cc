// The floor of one request in flight: an eventfd wakes a thread that polls it with epoll, and the thread answers by
// uv_async_send. An addon: run(roundTrips, callback) calls back with microseconds per round trip.
#include <node_api.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>

namespace {

int wake_fd;
uv_async_t async;
napi_env env;
napi_ref callback;
int64_t rounds;
int64_t left;
std::chrono::steady_clock::time_point began;

void Ping() {
  const uint64_t one = 1;
  if (write(wake_fd, &one, sizeof one) < 0) std::abort();
}

void OnPong(uv_async_t*) {
  if (--left > 0) return Ping();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value function, micros, global;
  napi_get_reference_value(env, callback, &function);
  napi_get_global(env, &global);
  napi_create_double(env, took.count() / static_cast<double>(rounds), &micros);
  napi_call_function(env, global, function, 1, &micros, nullptr);
  napi_close_handle_scope(env, scope);
}

napi_value Run(napi_env in, napi_callback_info info) {
  env = in;
  napi_value arguments[2];
  size_t count = 2;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  napi_get_value_int64(env, arguments[0], &rounds);
  napi_create_reference(env, arguments[1], 1, &callback);
  left = rounds;
  wake_fd = eventfd(0, EFD_NONBLOCK);
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  uv_async_init(loop, &async, OnPong);
  std::thread([] {
    const int poll = epoll_create1(0);
    epoll_event event{EPOLLIN, {}};
    epoll_ctl(poll, EPOLL_CTL_ADD, wake_fd, &event);
    for (;;) {
      if (epoll_wait(poll, &event, 1, -1) < 1) continue;
      uint64_t wakes;
      if (read(wake_fd, &wakes, sizeof wakes) > 0) uv_async_send(&async);
    }
  }).detach();
  began = std::chrono::steady_clock::now();
  Ping();
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value run;
  napi_create_function(env, "run", NAPI_AUTO_LENGTH, Run, nullptr, &run);
  napi_set_named_property(env, exports, "run", run);
  return exports;
}
