#include "bridge/exchange.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "bridge/flow_window.h"

namespace node_asgi::bridge {
namespace {

using Phase = ResponseState::Phase;

class RecordingSink final : public ResponseSink {
 public:
  void Post(ResponseEvent event, Urgency) override { events.push_back(std::move(event)); }
  void Flush() override {}
  std::vector<ResponseEvent> events;
};

TEST(ResponseState, FollowsTheOrderOfTheSpec) {
  ResponseState state;
  EXPECT_TRUE(state.Start());
  EXPECT_TRUE(state.Flush());
  EXPECT_TRUE(state.Complete());
  EXPECT_EQ(state.phase(), Phase::kComplete);
}

TEST(ResponseState, ARefusedMoveChangesNothing) {
  ResponseState state;
  EXPECT_FALSE(state.Flush());
  EXPECT_FALSE(state.Complete());
  EXPECT_EQ(state.phase(), Phase::kWaiting);
  EXPECT_TRUE(state.Start());
  EXPECT_FALSE(state.Start());
  EXPECT_EQ(state.phase(), Phase::kHeld);
}

TEST(ResponseState, ACompleteResponseDoesNotBreak) {
  ResponseState state;
  state.Start();
  state.Complete();
  state.Break();
  EXPECT_EQ(state.phase(), Phase::kComplete);
}

TEST(ResponseState, ABrokenResponseTakesNothingMore) {
  ResponseState state;
  state.Start();
  state.Break();
  EXPECT_TRUE(state.ended());
  EXPECT_FALSE(state.may_send_body());
  EXPECT_FALSE(state.Flush());
}

TEST(FlowWindow, ClosesAtTheHighWaterMarkAndTellsWhenItOpens) {
  FlowWindow window(100);
  window.Take(60);
  EXPECT_TRUE(window.open());
  window.Take(60);
  EXPECT_FALSE(window.open());
  EXPECT_FALSE(window.Give(10)) << "110 of 100 are still under way";
  EXPECT_TRUE(window.Give(20));
  EXPECT_FALSE(window.Give(20)) << "it was open already";
}

TEST(FlowWindow, MoreCreditThanWasTakenIsHarmless) {
  FlowWindow window(10);
  window.Take(10);
  EXPECT_TRUE(window.Give(1000));
  EXPECT_EQ(window.under_way(), 0U);
}

TEST(FlowWindow, AMarkOfZeroStillLetsOneByteThrough) {
  FlowWindow window(0);
  EXPECT_TRUE(window.open());
  window.Take(1);
  EXPECT_FALSE(window.open());
}

TEST(Exchange, EveryEventNamesItAndTheHeadCountsAsAnAnswer) {
  const auto sink = std::make_shared<RecordingSink>();
  const auto exchange = MakeRef<Exchange>(ExchangeRequest{}, sink, nullptr);
  exchange->Post({ResponseEvent::Kind::kConsumed}, ResponseSink::Urgency::kNow);
  EXPECT_FALSE(exchange->answered.load());
  exchange->Post({ResponseEvent::Kind::kStart}, ResponseSink::Urgency::kNow);
  EXPECT_TRUE(exchange->answered.load());
  ASSERT_EQ(sink->events.size(), 2U);
  EXPECT_EQ(sink->events[1].exchange, exchange);
  sink->events.clear();
}

TEST(Exchange, NoneIsLeftBehind) {
  {
    const auto sink = std::make_shared<RecordingSink>();
    std::vector<RefPtr<Exchange>> exchanges;
    for (int i = 0; i < 10; ++i) {
      exchanges.push_back(MakeRef<Exchange>(ExchangeRequest{}, sink, nullptr));
    }
    ASSERT_TRUE(kCountsLive) << "native tests run in a build that counts";
    EXPECT_EQ(LiveCount(Live::kExchange), 10);
  }
  EXPECT_EQ(LiveCount(Live::kExchange), 0);
}

TEST(RefPtr, TheLastReferenceDeletesOnWhicheverThread) {
  struct Thing : RefCounted {
    explicit Thing(std::atomic<int>* count) : deleted(count) {}
    ~Thing() override { ++*deleted; }
    std::atomic<int>* deleted;
  };
  std::atomic<int> deleted{0};
  auto thing = MakeRef<Thing>(&deleted);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([copy = thing] {
      for (int n = 0; n < 1000; ++n) const RefPtr<Thing> another = copy;
    });
  }
  thing = nullptr;
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  EXPECT_EQ(deleted, 1);
}

}  // namespace
}  // namespace node_asgi::bridge
