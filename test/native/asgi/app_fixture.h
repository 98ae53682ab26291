// A fixture that loads an app from source and records what it sends.
#ifndef NODE_ASGI_TEST_NATIVE_ASGI_APP_FIXTURE_H_
#define NODE_ASGI_TEST_NATIVE_ASGI_APP_FIXTURE_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>

#include "host/application.h"
#include "host/dispatcher.h"
#include "python_host.h"

namespace node_asgi::test {

using bridge::RequestEvent;
using bridge::ResponseEvent;
using Kind = ResponseEvent::Kind;

class RecordingSink final : public bridge::ResponseSink {
 public:
  void Post(ResponseEvent event, Urgency) override {
    std::lock_guard lock(mutex_);
    // Without its exchange, which would keep it alive.
    event.exchange = nullptr;
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  void Flush() override {}
  bridge::BodyBlocks* body_blocks() override { return &blocks_; }

  // The event at `index`, waited for.
  const ResponseEvent& At(size_t index) {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return events_.size() > index; });
    if (!came) {
      ADD_FAILURE() << "event " << index << " never came";
      std::abort();
    }
    return events_[index];
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return events_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bridge::BodyBlocks blocks_;
  std::deque<ResponseEvent> events_;
};

inline constexpr char kHead[] =
    "GET\n/path?x=1\n1.1\nhttp\n127.0.0.1\n5\n::1\n80\n\nX-One\n1\nhost\nexample";

// One app, loaded from source that defines `async def app(scope, receive, send)`.
class AppFixture : public ::testing::Test {
 protected:
  void Load(const std::string& source, host::ApplicationOptions options = {}) {
    const std::string folder = ::testing::TempDir() + "node_asgi_" + std::to_string(getpid());
    (void)Output("mkdir -p " + folder);
    std::ofstream(folder + "/main.py") << "import asyncio, sys\n" << source;
    options.target = "main:app";
    options.docroot = folder;
    options.lifespan = "off";
    application_ = bridge::MakeRef<host::Application>(StartedRuntime(), options, notices_);
    auto loaded = std::make_shared<std::promise<std::string>>();
    auto future = loaded->get_future();
    OnPython([&](const python::GilHeld& gil) {
      application_->Load(gil, [loaded](const bridge::Failure* failure) {
        loaded->set_value(failure != nullptr ? failure->traceback : "");
      });
    });
    ASSERT_EQ(future.get(), "");
  }

  bridge::RefPtr<bridge::Exchange> Begin(bridge::ExchangeRequest request = {}) {
    if (request.head.empty()) request.head = kHead;
    host::Refusal refusal;
    auto exchange = host::Admit(*application_, std::move(request), sink_, &refusal);
    EXPECT_EQ(refusal, host::Refusal::kNone);
    host::Begin(*application_, exchange);
    return exchange;
  }

  void Deliver(const bridge::RefPtr<bridge::Exchange>& exchange, RequestEvent event) {
    application_->runtime().Deliver(exchange, std::move(event));
  }

  std::string Stop() {
    auto stopped = std::make_shared<std::promise<std::string>>();
    auto future = stopped->get_future();
    OnPython([&](const python::GilHeld& gil) {
      application_->Stop(
          gil, std::chrono::milliseconds(2000),
          [stopped](auto&, std::string report) { stopped->set_value(std::move(report)); });
    });
    return future.get();
  }

  void TearDown() override {
    if (!application_) return;
    Stop();
    // Everything that a request holds is gone once its app has ended.
    for (int i = 0; i < 200 && bridge::LiveCount(bridge::Live::kExchange) > 0; ++i) {
      usleep(10000);
    }
    EXPECT_EQ(bridge::LiveCount(bridge::Live::kExchange), 0);
    EXPECT_EQ(application_->in_flight(), 0U);
  }

  bridge::RefPtr<host::Application> application_;
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::shared_ptr<RecordingSink> notices_ = std::make_shared<RecordingSink>();
};

}  // namespace node_asgi::test

#endif  // NODE_ASGI_TEST_NATIVE_ASGI_APP_FIXTURE_H_
