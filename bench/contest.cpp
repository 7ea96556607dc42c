#include "contest.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <utility>

namespace bench {

std::size_t contest::add(std::string name, work body) {
  entry e;
  e.name = std::move(name);
  e.body = std::move(body);
  entries_.push_back(std::move(e));
  return entries_.size() - 1;
}

double contest::now() const {
#if defined(__linux__)
  timespec time{};
  if (options_.own_time && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0) {
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
#endif
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double contest::seconds_for(const entry& e) const {
  const double start = now();
  e.body(e.repetitions);
  return now() - start;
}

void contest::calibrate(entry& e) const {
  double seconds = seconds_for(e);
  // The first call also touches the memory and wakes wide vector units.
  for (seconds = seconds_for(e); seconds < options_.slice_s / 4; seconds = seconds_for(e)) e.repetitions *= 2;
  const double wanted = static_cast<double>(e.repetitions) * options_.slice_s / seconds;
  e.repetitions = static_cast<std::size_t>(std::max(1.0, std::round(wanted)));
}

void contest::run() {
  for (entry& e : entries_) calibrate(e);
  for (std::size_t round = 0; round < options_.rounds; ++round) {
    for (std::size_t turn = 0; turn < entries_.size(); ++turn) {
      entry& e = entries_[(turn + round) % entries_.size()];
      if (options_.warm_up) e.body(1);
      e.seconds.push_back(seconds_for(e) / static_cast<double>(e.repetitions));
    }
  }
}

std::vector<double> contest::rounds(std::size_t i, double scale) const {
  std::vector<double> values = entries_[i].seconds;
  for (double& v : values) v *= scale;
  return values;
}

spread contest::ratio(std::size_t slow, std::size_t fast, double scale) const {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < entries_[slow].seconds.size(); ++round) {
    ratios.push_back(scale * entries_[slow].seconds[round] / entries_[fast].seconds[round]);
  }
  return spread_of(std::move(ratios));
}

}  // namespace bench
