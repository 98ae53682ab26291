#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "host/application.h"
#include "host/deadlines.h"
#include "host/dispatcher.h"
#include "python_host.h"

namespace node_asgi::host {
namespace {

using std::chrono::milliseconds;

class DroppingSink final : public bridge::ResponseSink {
 public:
  void Post(bridge::ResponseEvent event, Urgency) override {
    if (event.failure) failure.set_value(*event.failure);
  }
  void Flush() override {}
  std::promise<bridge::Failure> failure;
};

TEST(Deadlines, RunsWhatIsArmedAfterItsDelay) {
  Deadlines deadlines;
  std::promise<void> expired;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_NE(deadlines.Arm(milliseconds(20), [&] { expired.set_value(); }), 0U);
  expired.get_future().get();
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(20));
}

TEST(Deadlines, ADisarmedOneNeverRuns) {
  Deadlines deadlines;
  std::atomic<bool> ran{false};
  std::promise<void> later;
  const uint64_t armed = deadlines.Arm(milliseconds(30), [&] { ran = true; });
  deadlines.Disarm(armed);
  deadlines.Disarm(0);
  deadlines.Disarm(999999);
  deadlines.Arm(milliseconds(60), [&] { later.set_value(); });
  later.get_future().get();
  EXPECT_FALSE(ran);
}

TEST(Deadlines, RepeatsUntilToldToStop) {
  Deadlines deadlines;
  std::atomic<int> ticks{0};
  std::promise<void> stopped;
  deadlines.Repeat(milliseconds(1), [&] {
    if (++ticks < 5) return true;
    stopped.set_value();
    return false;
  });
  stopped.get_future().get();
  std::promise<void> later;
  deadlines.Arm(milliseconds(20), [&] { later.set_value(); });
  later.get_future().get();
  EXPECT_EQ(ticks, 5);
}

TEST(Dispatcher, RefusesAboveTheCapAndOnceClosed) {
  ApplicationOptions options;
  options.max_concurrency = 1;
  const auto sink = std::make_shared<DroppingSink>();
  const auto application = bridge::MakeRef<Application>(Runtime::Get(), options, sink);
  Refusal refusal;
  const auto first = Admit(*application, {}, sink, &refusal);
  EXPECT_TRUE(first);
  EXPECT_FALSE(Admit(*application, {}, sink, &refusal));
  EXPECT_EQ(refusal, Refusal::kBusy);
  EXPECT_EQ(application->in_flight(), 1U) << "a refused request must not count";
  application->closing = true;
  EXPECT_FALSE(Admit(*application, {}, sink, &refusal));
  EXPECT_EQ(refusal, Refusal::kClosed);
}

TEST(Application, AFailedLoadReachesWhoeverWaits) {
  ApplicationOptions options;
  options.target = "nowhere:app";
  options.docroot = ::testing::TempDir();
  const auto sink = std::make_shared<DroppingSink>();
  const auto application = bridge::MakeRef<Application>(test::StartedRuntime(), options, sink);
  Refusal refusal;
  bridge::ExchangeRequest request;
  request.head = "GET\n/\n1.1\nhttp\n\n\n\n\n";
  const auto exchange = Admit(*application, std::move(request), sink, &refusal);
  Begin(*application, exchange);
  test::OnPython(
      [&](const python::GilHeld& gil) { application->Load(gil, [](const bridge::Failure*) {}); });
  const bridge::Failure failure = sink->failure.get_future().get();
  EXPECT_EQ(failure.python_type, "node_asgi.importer.TargetError");
  EXPECT_NE(failure.message.find("nowhere"), std::string::npos) << failure.message;
}

// Keeps every failure that it is sent.
class CollectingSink final : public bridge::ResponseSink {
 public:
  void Post(bridge::ResponseEvent event, Urgency) override {
    if (!event.failure) return;
    std::lock_guard lock(mutex_);
    failures_.push_back(*event.failure);
    changed_.notify_all();
  }
  void Flush() override {}

  // The first with that code; an empty one after five seconds.
  bridge::Failure Wait(const std::string& code) {
    std::unique_lock lock(mutex_);
    bridge::Failure found;
    changed_.wait_for(lock, std::chrono::seconds(5), [&] {
      for (const bridge::Failure& failure : failures_) {
        if (failure.code == code) found = failure;
      }
      return !found.code.empty();
    });
    return found;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bridge::Failure> failures_;
};

TEST(LoopWatch, SaysWhatBlocksTheLoopAndStacksAreReadMeanwhile) {
  const std::string folder = ::testing::TempDir();
  std::ofstream(folder + "/blocks_natively.py") << R"(
import time
def blocks_here():
    time.sleep(0.6)
async def app(scope, receive, send):
    blocks_here()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})
)";
  ApplicationOptions options;
  options.target = "blocks_natively:app";
  options.docroot = folder;
  options.lifespan = "off";
  const auto sink = std::make_shared<CollectingSink>();
  const auto application = bridge::MakeRef<Application>(test::StartedRuntime(), options, sink);
  std::promise<bool> loaded;
  test::OnPython([&](const python::GilHeld& gil) {
    application->Load(
        gil, [&](const bridge::Failure* failure) { loaded.set_value(failure == nullptr); });
  });
  ASSERT_TRUE(loaded.get_future().get());
  Refusal refusal;
  bridge::ExchangeRequest request;
  request.head = "GET\n/here\n1.1\nhttp\n\n\n\n\n";
  Begin(*application, Admit(*application, std::move(request), sink, &refusal));
  const bridge::Failure warning = sink->Wait("ERR_PYTHON_LOOP_BLOCKED");
  EXPECT_NE(warning.message.find("by GET /here"), std::string::npos) << warning.message;
  EXPECT_NE(warning.message.find("blocks_here"), std::string::npos) << warning.message;
  EXPECT_NE(Runtime::Get().DumpStacks(milliseconds(1000)).find("blocks_here"), std::string::npos);
  std::promise<void> stopped;
  test::OnPython([&](const python::GilHeld& gil) {
    application->Stop(gil, milliseconds(2000),
                      [&](const python::GilHeld&, std::string) { stopped.set_value(); });
  });
  stopped.get_future().get();
}

TEST(Runtime, StopsInTimeWithNothingLoaded) {
  test::StartedRuntime();
  EXPECT_TRUE(Runtime::Get().StopBlocking(milliseconds(5000)));
}

}  // namespace
}  // namespace node_asgi::host
