#include "bridge/exchange.h"

namespace node_asgi::bridge {

bool ResponseState::Move(Phase from, Phase to) {
  if (phase_ != from) return false;
  phase_ = to;
  return true;
}

bool ResponseState::Complete() {
  if (!may_send_body()) return false;
  phase_ = Phase::kComplete;
  return true;
}

void ResponseState::Break() {
  if (phase_ != Phase::kComplete) phase_ = Phase::kBroken;
}

}  // namespace node_asgi::bridge
