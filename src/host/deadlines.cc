#include "host/deadlines.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <unordered_map>
#include <utility>

namespace node_asgi::host {
namespace asio = boost::asio;

struct Deadlines::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  std::unordered_map<uint64_t, asio::steady_timer> timers;  // deadline thread only
  std::thread thread{[this] { context.run(); }};

  ~Impl() {
    context.stop();
    thread.join();
  }

  void Repeat(std::shared_ptr<asio::steady_timer> timer, std::chrono::milliseconds period,
              std::function<bool()> tick) {
    timer->expires_after(period);
    timer->async_wait(
        [this, timer, period, tick = std::move(tick)](const boost::system::error_code& error) {
          if (!error && tick()) Repeat(timer, period, tick);
        });
  }
};

Deadlines::Deadlines() : impl_(std::make_unique<Impl>()) {}
Deadlines::~Deadlines() = default;

uint64_t Deadlines::Arm(std::chrono::milliseconds delay, std::function<void()> expired) {
  const uint64_t id = next_.fetch_add(1);
  const auto when = std::chrono::steady_clock::now() + delay;
  asio::post(
      impl_->context, [impl = impl_.get(), id, when, expired = std::move(expired)]() mutable {
        asio::steady_timer& timer =
            impl->timers.emplace(id, asio::steady_timer(impl->context, when)).first->second;
        timer.async_wait(
            [impl, id, expired = std::move(expired)](const boost::system::error_code& error) {
              impl->timers.erase(id);
              if (!error) expired();
            });
      });
  return id;
}

void Deadlines::Disarm(uint64_t deadline) {
  if (deadline == 0) return;
  asio::post(impl_->context, [impl = impl_.get(), deadline] {
    const auto found = impl->timers.find(deadline);
    if (found != impl->timers.end()) found->second.cancel();
  });
}

void Deadlines::Repeat(std::chrono::milliseconds period, std::function<bool()> tick) {
  asio::post(impl_->context, [impl = impl_.get(), period, tick = std::move(tick)]() mutable {
    impl->Repeat(std::make_shared<asio::steady_timer>(impl->context), period, std::move(tick));
  });
}

}  // namespace node_asgi::host
