#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <alidade/config/compiler.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/perf/monitor.hpp>
#include <alidade/perf/null_monitor.hpp>
#include <alidade/perf/report.hpp>

#include "../../counting_new.hpp"

using namespace alidade::perf;
using alidade::errc;

namespace {

latency_histogram latency_of(const monitor& m, monitor::series s) {
  series_snapshot now;
  m.snapshot(s, now);
  return now.latency;
}

void record(monitor::series s, std::uint64_t ns, int times) {
  for (int i = 0; i < times; ++i) s.record(ns);
}

}  // namespace

TEST_CASE("a monitor keeps its series apart, and by name") {
  monitor m({.threads = 2});
  CHECK(m.size() == 0);
  CHECK(m.threads() >= 1);
  const monitor::series search = m.add_series("search"), add = m.add_series("hinzufügen");
  search.record(1000);
  search.record(3000);
  add.record_corrected(100, 30);
  CHECK(m.size() == 2);
  CHECK(search.name() == "search");
  CHECK(m.find("search") == search);
  CHECK(m.find("hinzufügen") == add);
  CHECK_FALSE(m.find("remove"));
  std::string order;
  m.visit([&](const series_snapshot& s) {
    order += s.name;
    order += ' ';
    CHECK(s.seconds >= 0);
    CHECK(s.state == health::ok);
    CHECK(s.last.count == 0);
  });
  CHECK(order == "search hinzufügen ");
  CHECK(latency_of(m, search).count() == 2);
  CHECK(latency_of(m, search).mean() == 2000);
  CHECK(latency_of(m, add).count() == 3);
  CHECK(latency_of(m, add).sum() == 210);
}

TEST_CASE("an empty handle records nothing") {
  const monitor::series nothing;
  nothing.record(5);
  nothing.record_corrected(5, 1);
  CHECK_FALSE(nothing);
  CHECK(nothing.name().empty());
  const monitor m;
  series_snapshot s;
  s.seconds = 5;
  s.latency.record(7);
  m.snapshot(nothing, s);
  CHECK(s.latency.empty());
  CHECK(s.seconds == 0);
  CHECK(s.per_second() == 0);
}

TEST_CASE("series and monitors refuse what is out of range, and stay as they are") {
  std::error_code ec;
  const monitor refused({.threads = 257}, ec);
  CHECK(ec == errc::invalid_option);
  CHECK_THROWS_AS(monitor({.threads = 257}), alidade::error);
  monitor m({.threads = 256}, ec);
  CHECK_FALSE(ec);
  m.add_series("a");
  for (const char* name : {"", "\xff", "a\xc3"}) {
    CHECK_FALSE(m.add_series(name, {}, ec));
    CHECK(ec == errc::invalid_option);
  }
  CHECK_FALSE(m.add_series("b", {.limits = {.hold = 0}}, ec));
  CHECK(ec == errc::invalid_option);
  CHECK_FALSE(m.add_series("a", {}, ec));
  CHECK(ec == errc::duplicate_key);
  CHECK_THROWS_AS(m.add_series("a"), alidade::error);
  CHECK_THROWS_AS(m.add_series("b", {.limits = {.quantile = 2}}), alidade::error);
  CHECK(m.size() == 1);
  CHECK(m.add_series("b", {}, ec));
  CHECK_FALSE(ec);
}

TEST_CASE("when memory runs out a monitor stays as it was") {
  monitor m({.threads = 1});
  const monitor::series a = m.add_series("a");
  const std::size_t bytes = test::allocations().bytes;
  std::size_t n = 0;
  for (bool done = false; !done;) {
    const test::failing_allocation failing(++n);
    try {
      m.add_series("a name that is too long to be kept without a block of memory of its own");
      done = true;
    } catch (const std::bad_alloc&) {
      CHECK(test::allocations().bytes == bytes);
      CHECK(m.size() == 1);
    }
  }
  CHECK(m.size() == 2);
  CHECK(n > 2);
  a.record(1);
  CHECK(latency_of(m, a).count() == 1);
}

TEST_CASE("after set-up a monitor allocates nothing") {
  std::vector<alert> alerts;
  alerts.reserve(100);
  monitor m({.threads = 2, .on_alert = [&](const alert& a) { alerts.push_back(a); }});
  const monitor::series s = m.add_series("s", {.limits = {.degraded_ns = 1000}});
  monitor::prepare_thread();
  auto now = std::make_unique<series_snapshot>();
  const test::allocation_counts before = test::allocations();
  for (int i = 0; i < 1000; ++i) {
    { const scoped_timer timer(s); }
    s.record(std::uint64_t{1} << i % 64);
    s.record_corrected(50'000, 1000);
  }
  m.snapshot(s, *now);
  m.evaluate();
  m.evaluate();
  std::uint64_t visited = 0;
  m.visit([&](const series_snapshot& one) { visited += one.latency.count(); });
  const monitor::series found = m.find("s");
  const test::allocation_counts after = test::allocations();
  CHECK(after.calls == before.calls);
  CHECK(after.bytes == before.bytes);
  CHECK(visited == 1000 * 52);
  CHECK(found == s);
  CHECK(alerts.size() == 1);
}

TEST_CASE("what a monitor says that it holds is what it allocated") {
  const std::size_t before = test::allocations().bytes;
  monitor m({.threads = 3});
  m.add_series("one");
  m.add_series("and another one, with a long name");
  const std::size_t held = test::allocations().bytes - before;
  const std::size_t said = m.memory_bytes() - sizeof(m);
  CHECK(said >= held);
  CHECK(said <= held + 128);
}

TEST_CASE("a monitor evaluates intervals, not all that was") {
  monitor m({.threads = 1});
  const monitor::series s =
      m.add_series("s", {.limits = {.quantile = 0.5, .degraded_ns = 10'000, .hold = 1}});
  const auto last = [&] {
    series_snapshot now;
    m.snapshot(s, now);
    return now.last;
  };
  record(s, 20'000, 1000);
  CHECK(m.evaluate() == health::degraded);
  CHECK(last().count == 1000);
  CHECK(last().quantile_ns == doctest::Approx(20'000).epsilon(0.01));
  CHECK(last().per_second() >= 0);
  record(s, 100, 20);  // a small share of all, but all of this interval
  CHECK(m.evaluate() == health::ok);
  CHECK(last().count == 20);
  CHECK(last().quantile_ns == 100);
  m.evaluate();
  CHECK(last().count == 0);
  CHECK(m.state() == health::ok);
}

TEST_CASE("alerts come once for each change, and their callback may call the monitor") {
  struct seen {
    std::string series;
    health from, to;
    std::uint64_t count;
  };
  std::vector<seen> alerts;
  monitor* self = nullptr;
  monitor m({.threads = 1, .on_alert = [&](const alert& a) {
               alerts.push_back({std::string(a.series), a.from, a.to, a.interval.count});
               // The state is in force, snapshots and further evaluations work, series can be added.
               series_snapshot now;
               self->snapshot(self->find(a.series), now);
               CHECK(now.state == a.to);
               CHECK(now.last.count == a.interval.count);
               CHECK(self->state() >= a.to);
               self->evaluate();
               if (!self->find("late")) self->add_series("late");
             }});
  self = &m;
  const monitor::series a =
      m.add_series("a", {.limits = {.degraded_ns = 1000, .critical_ns = 10'000, .min_count = 10}});
  const monitor::series b = m.add_series("b", {.limits = {.degraded_ns = 1000, .min_count = 10}});
  const auto interval = [&](std::uint64_t of_a, std::uint64_t of_b) {
    record(a, of_a, 10);
    record(b, of_b, 10);
    return m.evaluate();
  };
  CHECK(interval(500, 500) == health::ok);
  CHECK(alerts.empty());
  CHECK(interval(1500, 500) == health::degraded);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].series == "a");
  CHECK(alerts[0].from == health::ok);
  CHECK(alerts[0].to == health::degraded);
  CHECK(alerts[0].count == 10);
  CHECK(interval(1500, 500) == health::degraded);
  CHECK(interval(950, 500) == health::degraded);
  CHECK(interval(1050, 500) == health::degraded);
  CHECK(alerts.size() == 1);
  CHECK(interval(20'000, 2000) == health::critical);
  REQUIRE(alerts.size() == 3);
  CHECK(alerts[1].to == health::critical);
  CHECK(alerts[2].series == "b");
  CHECK(interval(100, 2000) == health::critical);
  CHECK(interval(100, 2000) == health::degraded);
  REQUIRE(alerts.size() == 4);
  CHECK(alerts[3].series == "a");
  CHECK(alerts[3].from == health::critical);
  CHECK(alerts[3].to == health::ok);
  CHECK(m.size() == 3);
}

TEST_CASE("an alert that throws leaves the series behind it for the next evaluation") {
  int calls = 0;
  monitor m({.threads = 1, .on_alert = [&](const alert&) {
               if (++calls == 1) throw std::runtime_error("once");
             }});
  const health_limits limits{.degraded_ns = 10, .min_count = 1};
  const monitor::series a = m.add_series("a", {.limits = limits}), b = m.add_series("b", {.limits = limits});
  a.record(20);
  b.record(20);
  CHECK_THROWS_AS(m.evaluate(), std::runtime_error);
  CHECK(calls == 1);
  CHECK(m.evaluate() == health::degraded);
  CHECK(calls == 2);
}

#if ALIDADE_HAS_THREADS

TEST_CASE("the first record of a thread allocates nothing either, and nor does its end") {
  monitor m({.threads = 1});
  const monitor::series s = m.add_series("s");
  std::size_t calls = 0;
  std::thread([&] {
    const std::size_t before = test::allocations().calls;
    s.record(1);
    calls = test::allocations().calls - before;
  }).join();
  CHECK(calls == 0);
  CHECK(latency_of(m, s).count() == 1);
}

TEST_CASE("concurrent threads lose no record, and the numbers of threads that have ended are kept") {
  for (const std::size_t own : {std::size_t{1}, std::size_t{2}, std::size_t{8}}) {
    monitor m({.threads = own});
    const monitor::series s = m.add_series("s"), t = m.add_series("t");
    constexpr std::uint64_t waves = 3, threads = 6, records = 4000;
    for (std::uint64_t wave = 0; wave < waves; ++wave) {
      std::vector<std::thread> team;
      for (std::uint64_t k = 0; k < threads; ++k) {
        team.emplace_back([=] {
          for (std::uint64_t i = 0; i < records; ++i) {
            s.record(100 * (k + 1) + i % 7);
            if (i % 4 == 0) t.record_corrected(100, 30);
          }
        });
      }
      for (std::thread& thread : team) thread.join();
      CHECK(latency_of(m, s).count() == (wave + 1) * threads * records);
    }
    const latency_histogram all = latency_of(m, s);
    CHECK(all.min() == 100);
    CHECK(all.max() == 606);
    latency_histogram expected;
    for (std::uint64_t k = 0; k < threads; ++k) {
      for (std::uint64_t i = 0; i < records; ++i) expected.record(100 * (k + 1) + i % 7, waves);
    }
    CHECK(all == expected);
    CHECK(latency_of(m, t).count() == waves * threads * records / 4 * 3);
    CHECK(latency_of(m, t).sum() == waves * threads * records / 4 * 210);
  }
}

TEST_CASE("snapshots of concurrent recording are whole and grow") {
  monitor m({.threads = 2});
  const monitor::series s = m.add_series("s", {.limits = {.degraded_ns = 1000}});
  std::atomic<bool> done{false};
  std::vector<std::thread> recorders;
  constexpr std::uint64_t records = 30'000;
  for (int k = 0; k < 3; ++k) {
    recorders.emplace_back([=] {
      for (std::uint64_t i = 0; i < records; ++i) s.record(200 + i % 600);
    });
  }
  std::thread evaluator([&] {
    while (!done) m.evaluate();
  });
  std::uint64_t last = 0;
  bool grows = true, whole = true;
  for (int i = 0; i < 200; ++i) {
    if (i == 50) m.add_series("added meanwhile").record(1);
    const latency_histogram now = latency_of(m, s);
    const std::uint64_t count = now.count();
    grows = grows && count >= last;
    last = count;
    if (count == 0) continue;
    whole =
        whole && now.min() >= 200 && now.max() <= 799 && now.quantile(0.5) >= 198 && now.quantile(0.5) <= 807;
    whole = whole && now.sum() >= 200 * count;
  }
  for (std::thread& thread : recorders) thread.join();
  done = true;
  evaluator.join();
  CHECK(grows);
  CHECK(whole);
  CHECK(latency_of(m, s).count() == 3 * records);
  CHECK(m.evaluate() == health::ok);
  CHECK(m.size() == 2);
}

#if !ALIDADE_IS_EMSCRIPTEN  // whose threads are started one by one, from a pool
TEST_CASE("more threads than have numbers record all the same") {
  monitor m({.threads = 4});
  const monitor::series s = m.add_series("s");
  constexpr std::size_t threads = 300;
  std::atomic<std::size_t> recorded{0};
  std::atomic<bool> leave{false};
  std::vector<std::thread> team;
  for (std::size_t k = 0; k < threads; ++k) {
    team.emplace_back([&] {
      s.record(5);
      ++recorded;
      while (!leave) std::this_thread::yield();
    });
  }
  while (recorded != threads) std::this_thread::yield();
  CHECK(latency_of(m, s).count() == threads);
  leave = true;
  for (std::thread& thread : team) thread.join();
}
#endif

TEST_CASE("what thread-local objects record at the end of their thread is counted") {
  monitor m({.threads = 2});
  const monitor::series s = m.add_series("s");
  struct last_words {
    monitor::series series;
    ~last_words() { series.record(9); }
  };
  std::thread([&] {
    static thread_local last_words words{};
    words.series = s;
    s.record(1);  // takes the thread's number after `words` was made, and gives it back before that goes
  }).join();
  CHECK(latency_of(m, s).count() == 2);
  CHECK(latency_of(m, s).max() == 9);
}

#endif

TEST_CASE("a null monitor has the interface of a monitor, and nothing in it") {
  null_monitor m({.threads = 1000});
  static_assert(std::is_empty_v<null_monitor> && std::is_empty_v<null_monitor::series>);
  const null_monitor::series s = m.add_series("s", {.limits = {.hold = 0}});
  s.record(5);
  s.record_corrected(5, 1);
  { const scoped_timer timer(s); }
  std::error_code ec = make_error_code(errc::invalid_option);
  m.add_series("", {}, ec);
  CHECK_FALSE(ec);
  const null_monitor other({}, ec);
  CHECK(m.size() == 0);
  CHECK(m.find("s") == s);
  CHECK_FALSE(s);
  CHECK(m.evaluate() == health::ok);
  CHECK(m.state() == health::ok);
  CHECK(m.threads() == 0);
  CHECK(m.memory_bytes() == 1);
  null_monitor::prepare_thread();
  int visits = 0;
  m.visit([&](const series_snapshot&) { ++visits; });
  CHECK(visits == 0);
  series_snapshot now;
  now.latency.record(5);
  m.snapshot(s, now);
  CHECK(now.latency.empty());
  CHECK(to_json(m) == "{\"series\":[]}");
}
