#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include <alidade/memory/memory_monitor.hpp>
#include <alidade/memory/memory_sources.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

#if ALIDADE_IS_LINUX
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

using alidade::budget_source;
using alidade::manual_memory_source;
using alidade::memory_monitor;

namespace {

constexpr auto most = std::numeric_limits<std::uint64_t>::max();

}  // namespace

TEST_CASE("a manual source says what it is told") {
  manual_memory_source source(1000);
  std::error_code ec = std::make_error_code(std::errc::io_error);
  CHECK(source.sample(ec).used_bytes == 0);
  CHECK_FALSE(ec);
  CHECK(source.sample(ec).limit_bytes == 1000);
  source.set(250);
  CHECK(source.sample(ec).used_bytes == 250);
  source.set(5000);
  CHECK(alidade::usage(source.sample(ec)) == 1);
  source.set_usage(0.7);
  CHECK(source.used_bytes() == 700);
  source.set_usage(-3);
  CHECK(source.used_bytes() == 0);
  source.set_usage(1e300);
  CHECK(source.used_bytes() == 1000);
  source.set_usage(0.25);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    source.set_usage(bad, ec);
    CHECK(ec == alidade::errc::not_finite);
    CHECK_THROWS_AS(source.set_usage(bad), alidade::error);
    CHECK(source.used_bytes() == 250);
  }
  source.set_usage(0.5, ec);
  CHECK_FALSE(ec);

  manual_memory_source huge(most);
  huge.set_usage(1.0);
  CHECK(huge.used_bytes() == most);
  huge.set_usage(0.5);
  CHECK(huge.used_bytes() == most / 2 + 1);
  huge.set_usage(std::nextafter(1.0, 0.0));
  CHECK(huge.used_bytes() < most);

  CHECK(manual_memory_source().limit_bytes() == 500'000'000);
  CHECK_THROWS_AS(manual_memory_source(0), alidade::error);
  CHECK(manual_memory_source(0, ec).limit_bytes() == 500'000'000);
  CHECK(ec == alidade::errc::invalid_option);
}

TEST_CASE("a budget source measures what something uses against a budget") {
  std::vector<char> data;
  memory_monitor monitor(budget_source([&] { return data.size(); }, 1000), {.capacity = 1});
  CHECK(monitor.sample() == 0);
  data.resize(850);
  CHECK(monitor.sample() == 0.85);
  CHECK(monitor.fraction_to_evict() == 0.30);
  data.resize(3000);
  CHECK(monitor.sample() == 1);

  std::error_code ec;
  CHECK(budget_source([]() noexcept { return -5; }).sample(ec).used_bytes == 0);
  CHECK(budget_source([]() noexcept { return std::int64_t{7}; }).sample(ec).used_bytes == 7);
  CHECK(budget_source([] { return most; }).sample(ec).used_bytes == most);
  CHECK(budget_source([] { return 1u; }).sample(ec).limit_bytes == 500'000'000);
  const auto one = []() noexcept { return 1; };
  CHECK_THROWS_AS(budget_source(one, 0), alidade::error);
  CHECK(budget_source(one, 0, ec).budget_bytes() == 500'000'000);
  CHECK(ec == alidade::errc::invalid_option);
  static_assert(noexcept(std::declval<budget_source<decltype(one)>&>().sample(ec)));

  memory_monitor angry(budget_source([]() -> int { throw std::runtime_error("no"); }));
  CHECK_THROWS_AS(angry.sample(), std::runtime_error);
  CHECK(angry.samples() == 0);
}

TEST_CASE("no source is an error, not a guess") {
  memory_monitor<alidade::no_memory_source> monitor;
  std::error_code ec;
  CHECK(monitor.sample(ec) == 0);
  CHECK(ec == std::errc::function_not_supported);
  CHECK_THROWS_AS(monitor.sample(), alidade::error);
}

TEST_CASE("the system's own source answers here, plausibly and without an allocation") {
  if constexpr (std::is_same_v<alidade::system_memory_source, alidade::no_memory_source>) {
    MESSAGE("skipped: no source for this system");
  } else {
    memory_monitor<alidade::system_memory_source> monitor;
    const auto before = test::allocations();
    const double pressure = monitor.sample();
    CHECK(test::allocations().calls == before.calls);
    CHECK(pressure > 0);
    CHECK(pressure <= 1);
    std::error_code ec;
    const auto sample = monitor.source().sample(ec);
    CHECK_FALSE(ec);
    CHECK(sample.used_bytes > 64 << 10);
    CHECK(sample.limit_bytes > 1 << 20);
  }
}

#if ALIDADE_IS_EMSCRIPTEN

TEST_CASE("usage of the wasm heap grows with what is allocated, and falls when it is freed") {
  constexpr std::size_t block = std::size_t{8} << 20;
  alidade::emscripten_memory_source source;
  std::error_code ec;
  const auto used = [&] { return source.sample(ec).used_bytes; };
  const auto before = used();
  {
    const std::vector<char> large(block, 1);
    const char* volatile seen = large.data();  // else the compiler leaves the allocation out
    CHECK(seen != nullptr);
    CHECK(used() >= before + block);
    CHECK(used() <= before + block + 65'536);
  }
  CHECK(used() <= before + 65'536);
  std::vector<std::vector<char>> many;
  many.reserve(1000);
  for (int i = 0; i < 1000; ++i) many.emplace_back(1000, 'a');
  CHECK(used() >= before + 1'000'000);
  CHECK(source.sample(ec).limit_bytes >= 16u << 20);
  CHECK_FALSE(ec);
}

#endif

#if ALIDADE_IS_LINUX

namespace {

using alidade::linux_limit;
using alidade::linux_memory_sample;
using alidade::linux_memory_source;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// Lines 1 to 5 of /proc/meminfo of a machine of 8,000,000 kB with 6,000,000 to spare; more follow in the real one.
const char* const meminfo =
    "MemTotal:        8000000 kB\n"
    "MemFree:         2103456 kB\n"
    "MemAvailable:    6000000 kB\n"
    "Buffers:           11848 kB\n"
    "Cached:           415612 kB\n";

const char* const memory_stat =
    "anon 50331648\n"
    "file 41943040\n"
    "kernel 2621440\n"
    "file_mapped 0\n"
    "inactive_anon 50298880\n"
    "active_anon 32768\n"
    "inactive_file 10485760\n"
    "active_file 31457280\n"
    "unevictable 0\n";

const char* const calm =
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

/// A temporary folder with a /proc and a /sys/fs/cgroup in it.
class fake_system {
 public:
  fake_system() {
    static int count = 0;
    root_ = std::filesystem::temp_directory_path() /
            ("alidade_memory_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::remove_all(root_);
    write("proc/meminfo", meminfo);
    write("proc/self/statm", "90000 2560 375 5 0 123 0\n");
    write("proc/self/cgroup", "0::/system.slice/app.service\n");
    write("proc/pressure/memory", calm);
  }
  fake_system(const fake_system&) = delete;
  fake_system& operator=(const fake_system&) = delete;
  ~fake_system() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::filesystem::remove(root_ /
                            path);  // ext4 flushes a file that is truncated and written again, at 10 ms each
    std::ofstream file(root_ / path, std::ios::binary);
    file << text;
    REQUIRE(file.good());
  }
  void remove(const std::string& path) const { REQUIRE(std::filesystem::remove_all(root_ / path) > 0); }

  /// A group, in bytes; `max` and `high` as the kernel writes them.
  void group(const std::string& path, const std::string& max, const std::string& high,
             std::uint64_t current) const {
    write("cgroup" + path + "/memory.max", max + "\n");
    write("cgroup" + path + "/memory.high", high + "\n");
    write("cgroup" + path + "/memory.current", std::to_string(current) + "\n");
  }

  linux_memory_source source(bool raise_by_stalls = true) const {
    return linux_memory_source({.proc_root = (root_ / "proc").string(),
                                .cgroup_root = (root_ / "cgroup").string(),
                                .raise_by_stalls = raise_by_stalls});
  }
  linux_memory_sample sample() const {
    std::error_code ec = std::make_error_code(std::errc::io_error);
    const linux_memory_sample result = source().sample(ec);
    CHECK_MESSAGE(!ec, ec.message());
    return result;
  }
  std::error_code failure() const {
    std::error_code ec;
    static_cast<void>(source().sample(ec));
    return ec;
  }

 private:
  std::filesystem::path root_;
};

const std::string own = "/system.slice/app.service";

void check_is_machine(const linux_memory_sample& sample) {
  CHECK(sample.limit == linux_limit::machine);
  CHECK(sample.used_bytes == 2'000'000 * std::uint64_t{1024});
  CHECK(sample.limit_bytes == 8'000'000 * std::uint64_t{1024});
  CHECK(alidade::usage(sample) == 0.25);
}

void check_is(const linux_memory_sample& sample, linux_limit limit, std::uint64_t used, std::uint64_t bytes) {
  CHECK(sample.limit == limit);
  CHECK(sample.used_bytes == used);
  CHECK(sample.limit_bytes == bytes);
}

/// In place of the real number, everything that is none.
const std::vector<std::string> malformed{"",
                                         "\n",
                                         "-5\n",
                                         "+5\n",
                                         " 5\n",
                                         "5 \n",
                                         "104857",  // cut off
                                         "ma",
                                         "maximum\n",
                                         "0x10\n",
                                         "1e9\n",
                                         "18446744073709551616\n",
                                         "99999999999999999999999999999999999999\n",
                                         std::string(1, '\0'),
                                         std::string("5\0\n", 3),
                                         std::string(20'000, '1'),
                                         std::string(20'000, '1') + "\n"};

}  // namespace

TEST_CASE("linux: memory.max of the process's group") {
  fake_system system;
  system.group(own, "104857600", "max", 78'643'200);
  check_is(system.sample(), linux_limit::cgroup_max, 75 * mib, 100 * mib);
  CHECK(alidade::usage(system.sample()) == 0.75);
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  CHECK(system.sample().resident_bytes == 2560 * page);

  system.group(own, "0", "max", 4096);
  CHECK(alidade::usage(system.sample()) == 1);
  system.group(own, "104857600", "max", 200 * mib);
  CHECK(alidade::usage(system.sample()) == 1);
}

TEST_CASE("linux: page cache that nobody touched of late is not used") {
  fake_system system;
  system.group(own, "104857600", "max", 90 * mib);
  system.write("cgroup" + own + "/memory.stat", memory_stat);
  check_is(system.sample(), linux_limit::cgroup_max, 80 * mib, 100 * mib);
  system.group(own, "104857600", "max", 5 * mib);  // the two files are not read in one instant
  CHECK(system.sample().used_bytes == 0);
  for (const char* const bad :
       {"", "inactive_file\n", "inactive_file -1\n", "inactive_file 10485760", "nonsense\n"}) {
    system.write("cgroup" + own + "/memory.stat", bad);
    CHECK(system.sample().used_bytes == 5 * mib);
  }
}

TEST_CASE("linux: memory.high below memory.max is the limit") {
  fake_system system;
  system.group(own, "104857600", "83886080", 40 * mib);
  check_is(system.sample(), linux_limit::cgroup_high, 40 * mib, 80 * mib);
  system.group(own, "max", "83886080", 40 * mib);
  check_is(system.sample(), linux_limit::cgroup_high, 40 * mib, 80 * mib);
  system.group(own, "83886080", "104857600", 40 * mib);
  check_is(system.sample(), linux_limit::cgroup_max, 40 * mib, 80 * mib);
}

TEST_CASE("linux: of nested groups the one nearest to its limit counts") {
  fake_system system;
  system.group(own, "104857600", "max", 50 * mib);
  system.group("/system.slice", "209715200", "max", 190 * mib);
  check_is(system.sample(), linux_limit::cgroup_max, 190 * mib, 200 * mib);
  system.group("/system.slice", "max", "209715200", 60 * mib);
  check_is(system.sample(), linux_limit::cgroup_max, 50 * mib, 100 * mib);
  system.group("/system.slice", "209715200", "max", 100 * mib);  // equally full: the inner one
  check_is(system.sample(), linux_limit::cgroup_max, 50 * mib, 100 * mib);
  system.group("/system.slice", "41943040", "max", 39 * mib);  // a parent with less than its child
  check_is(system.sample(), linux_limit::cgroup_max, 39 * mib, 40 * mib);
  system.group(own, "max", "max", 50 * mib);
  check_is(system.sample(), linux_limit::cgroup_max, 39 * mib, 40 * mib);
  system.group("/system.slice", "max", "max", 39 * mib);
  check_is_machine(system.sample());

  // In a container the mounted root is the container's group, and has limits.
  system.group("", "33554432", "max", 24 * mib);
  check_is(system.sample(), linux_limit::cgroup_max, 24 * mib, 32 * mib);
  system.write("proc/self/cgroup", "0::/\n");
  check_is(system.sample(), linux_limit::cgroup_max, 24 * mib, 32 * mib);
  system.write("proc/self/cgroup", "0::/not/in/this/mount\n");
  check_is(system.sample(), linux_limit::cgroup_max, 24 * mib, 32 * mib);

  system.group("/a", "100", "max", 50);
  system.group("/a/b", "100", "max", 50);
  system.group("/a/b/c", "10", "max", 9);
  system.write("proc/self/cgroup", "0::/a/b/c\n");
  check_is(system.sample(), linux_limit::cgroup_max, 9, 10);
  system.write("proc/self/cgroup", "0::/a/b\n");
  check_is(system.sample(), linux_limit::cgroup_max, 24 * mib, 32 * mib);
}

TEST_CASE("linux: without a limit the machine counts") {
  fake_system system;
  check_is_machine(system.sample());  // no group's files at all
  system.group(own, "max", "max", 50 * mib);
  check_is_machine(system.sample());
  system.group(own, "8192000000", "max", 50 * mib);  // as much as the machine has
  check_is_machine(system.sample());
  system.group(own, "18446744073709551615", "9223372036854771712", 50 * mib);
  check_is_machine(system.sample());

  system.group(own, "104857600", "max", 50 * mib);
  for (const char* const elsewhere :
       {"12:memory:/system.slice/app.service\n11:cpu,cpuacct:/\n1:name=systemd:/init.scope\n",  // cgroup v1
        "", "0::/system.slice\n"}) {
    system.write("proc/self/cgroup", elsewhere);
    check_is_machine(system.sample());
  }
  system.group("", "104857600", "max",
               50 * mib);  // the mounted root does not contain a process outside of it
  for (const char* const outside : {"0::/..\n", "0::/../sibling\n"}) {
    system.write("proc/self/cgroup", outside);
    check_is_machine(system.sample());
  }
  system.write("proc/self/cgroup", "0::/..named\n");
  check_is(system.sample(), linux_limit::cgroup_max, 50 * mib, 100 * mib);
  system.remove("cgroup/memory.max");
  system.write("proc/self/cgroup",
               "4:memory:/x\n1:name=systemd:/\n0::/system.slice/app.service\n");  // both versions
  check_is(system.sample(), linux_limit::cgroup_max, 50 * mib, 100 * mib);
  system.remove("proc/self/cgroup");
  check_is_machine(system.sample());
  system.remove("cgroup");
  check_is_machine(system.sample());

  system.write("proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 200 kB\n");
  CHECK(alidade::usage(system.sample()) == 0);
}

TEST_CASE("linux: stalls are reported, and those of a limited group raise the usage") {
  fake_system system;
  system.group(own, "104857600", "max", 50 * mib);
  CHECK(system.sample().stalls->full == 0);
  system.write("cgroup" + own + "/memory.pressure",
               "some avg10=40.25 avg60=8.00 avg300=1.50 total=123456\n"
               "full avg10=20.00 avg60=4.00 avg300=0.75 total=65432\n");
  auto sample = system.sample();
  REQUIRE(sample.stalls);
  CHECK(sample.stalls->some == 0.4025);
  CHECK(sample.stalls->full == 0.20);
  CHECK(sample.stall == 0.20);
  CHECK(alidade::usage(sample) == doctest::Approx(0.60).epsilon(1e-12));
  std::error_code ec;
  CHECK(alidade::usage(system.source(false).sample(ec)) == 0.5);
  CHECK(system.source(false).sample(ec).stalls->some == 0.4025);
  memory_monitor monitor(system.source(), {.capacity = 1});
  CHECK(monitor.sample() == 0.6);

  // The stalls of the process's own group, not of the one whose limit is near.
  system.group("/system.slice", "104857600", "max", 80 * mib);
  system.write("cgroup/system.slice/memory.pressure", calm);
  CHECK(alidade::usage(system.sample()) == doctest::Approx(0.96).epsilon(1e-12));

  // The machine's stalls may be those of others.
  system.write("proc/pressure/memory",
               "some avg10=100.00 avg60=8.00 avg300=1.50 total=123456\n"
               "full avg10=99.99 avg60=4.00 avg300=0.75 total=65432\n");
  system.remove("cgroup" + own + "/memory.pressure");
  sample = system.sample();
  CHECK(sample.stalls->some == 1);
  CHECK(sample.stalls->full == 0.9999);
  CHECK(alidade::usage(sample) == 0.8);
  system.remove("cgroup");
  sample = system.sample();
  CHECK(sample.stalls->full == 0.9999);
  check_is_machine(sample);

  for (const char* const bad : {"", "\n", "some avg10=1.00 avg60=0.00 avg300=0.00 total=0\n",
                                "some avg10=1.00\nfull avg10=1\n", "some avg10=1.00\nfull avg10=1.0",
                                "some avg10=1.00\nfull avg10=-1.00\n", "some avg10=1.00\nfull avg10=100.01\n",
                                "some avg10=1.00\nfull avg10=1.x0\n", "some avg10=nan\nfull avg10=inf\n"}) {
    system.write("proc/pressure/memory", bad);
    CHECK_FALSE(system.sample().stalls);
  }
  system.remove("proc/pressure");
  CHECK_FALSE(system.sample().stalls);
}

TEST_CASE("linux: malformed limits and figures are errors") {
  for (const std::string& text : malformed) {
    CAPTURE(text);
    fake_system system;
    for (const std::string& group : {own, std::string("/system.slice"), std::string()}) {
      system.group(group, "104857600", "max", 50 * mib);
    }
    for (const std::string& group : {own, std::string("/system.slice"), std::string()}) {
      for (const char* const name : {"/memory.max", "/memory.high", "/memory.current"}) {
        CAPTURE(name);
        CAPTURE(group);
        system.write("cgroup" + group + name, text);
        CHECK(system.failure() == std::errc::bad_message);
        system.group(group, "104857600", "max", 50 * mib);
      }
    }
    CHECK_FALSE(system.failure());
    for (const char* const unit : {"", " kB", " kB\n", "\n"}) {
      if ((text == " 5\n" || text == "104857") && std::string(unit).ends_with("kB\n"))
        continue;  // well-formed there
      system.write("proc/meminfo", "MemTotal: " + text + unit + "MemAvailable: 100 kB\n");
      CHECK(system.failure() == std::errc::bad_message);
      system.write("proc/meminfo", "MemTotal: 100 kB\nMemAvailable: " + text + unit);
      CHECK(system.failure() == std::errc::bad_message);
    }
  }
  fake_system system;
  for (const char* const bad :
       {"MemTotal: 100 kB\n", "MemAvailable: 100 kB\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
        "MemTotal: 100 MB\nMemAvailable: 100 kB\n", "MemTotal: 18014398509481985 kB\nMemAvailable: 1 kB\n",
        "MemTotal: 100 kB\nMemAvailable: 50 k"}) {
    system.write("proc/meminfo", bad);
    CHECK(system.failure() == std::errc::bad_message);
  }
  system.write("proc/meminfo", meminfo);
  for (const std::string& bad : {std::string("0::\n"), std::string("0::relative\n"), std::string("0::/cut"),
                                 "0::/" + std::string(10'000, 'a') + "\n"}) {
    system.write("proc/self/cgroup", bad);
    CHECK(system.failure() == std::errc::bad_message);
  }
}

TEST_CASE("linux: what is missing counts as not there, until nothing is left") {
  fake_system system;
  system.group(own, "104857600", "max", 50 * mib);
  system.remove("proc/pressure");
  system.remove("proc/meminfo");
  check_is(system.sample(), linux_limit::cgroup_max, 50 * mib, 100 * mib);

  system.remove("cgroup" + own + "/memory.current");  // then it is the resident bytes
  const std::uint64_t resident = system.sample().resident_bytes;
  CHECK(resident > 0);
  check_is(system.sample(), linux_limit::cgroup_max, resident, 100 * mib);
  for (const char* const bad :
       {"", "1\n", "90000 x\n", "90000 99999999999999999999 1\n", "90000 18446744073709551615 1\n"}) {
    system.write("proc/self/statm", bad);
    std::error_code ec;
    CHECK(system.source().sample(ec).resident_bytes == 0);
    CHECK(ec == std::errc::no_such_file_or_directory);
  }
  system.remove("proc/self/statm");
  CHECK(system.failure() == std::errc::no_such_file_or_directory);

  system.remove("cgroup" + own + "/memory.max");
  CHECK(system.failure() == std::errc::no_such_file_or_directory);
  std::error_code ec;
  const linux_memory_source nowhere({.proc_root = "/nonexistent/a", .cgroup_root = "/nonexistent/b"});
  static_cast<void>(nowhere.sample(ec));
  CHECK(ec == std::errc::no_such_file_or_directory);
  memory_monitor monitor(nowhere);
  CHECK_THROWS_AS(monitor.sample(), alidade::error);

  // A folder in place of a file can be opened but not read.
  system.write("proc/meminfo", meminfo);
  system.write("cgroup" + own + "/memory.max/file", "");
  CHECK(system.failure() == std::errc::is_a_directory);
}

TEST_CASE("linux: long files, long paths, and roots out of range") {
  fake_system system;
  std::string lines;
  for (int i = 0; i < 5000; ++i) lines += "Line" + std::to_string(i) + ":   12 kB\n";
  system.write("proc/meminfo", lines + meminfo + lines);
  check_is_machine(system.sample());
  std::string hierarchies;
  for (int i = 20; i > 0; --i)
    hierarchies += std::to_string(i) + ":name" + ":/" + std::string(4000, 'x') + "\n";
  system.write("proc/self/cgroup", hierarchies + "0::" + own + "\n");
  system.group(own, "104857600", "max", 50 * mib);
  check_is(system.sample(), linux_limit::cgroup_max, 50 * mib, 100 * mib);
  // Beyond PATH_MAX.
  std::string path;
  while (path.size() < 4096) path += "/" + std::string(200, 'y');
  system.write("proc/self/cgroup", "0::" + path + "\n");
  CHECK(system.failure() == std::errc::filename_too_long);

  const linux_memory_source usual;
  for (const std::string& bad : {std::string(), std::string(1025, 'r')}) {
    std::error_code ec;
    CHECK_THROWS_AS(linux_memory_source({.proc_root = bad}), alidade::error);
    CHECK_THROWS_AS(linux_memory_source({.cgroup_root = bad}), alidade::error);
    const linux_memory_source source({.cgroup_root = bad}, ec);
    CHECK(ec == alidade::errc::invalid_option);
    static_cast<void>(source.sample(ec));
    CHECK_FALSE(ec);
  }
  std::error_code ec;
  const linux_memory_source longest(
      {.proc_root = std::string(1024, 'r'), .cgroup_root = std::string(1024, 'r')}, ec);
  CHECK_FALSE(ec);
  static_cast<void>(longest.sample(ec));
  CHECK(ec == std::errc::filename_too_long);
}

TEST_CASE("linux: sampling allocates nothing, whether it works or fails, and leaves no file open") {
  fake_system system;
  system.group(own, "104857600", "max", 50 * mib);
  system.group("/system.slice", "209715200", "max", 190 * mib);
  system.write("cgroup" + own + "/memory.stat", memory_stat);
  system.write("cgroup" + own + "/memory.pressure", calm);
  const auto source = system.source();
  const linux_memory_source nowhere({.proc_root = "/nonexistent/a", .cgroup_root = "/nonexistent/b"});
  const auto open_files = [] {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return std::distance(begin(files), end(files));
  };
  const auto files_before = open_files();
  std::error_code ec;
  const auto before = test::allocations();
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(source.sample(ec));
    static_cast<void>(nowhere.sample(ec));
  }
  CHECK(test::allocations().calls == before.calls);
  CHECK(open_files() == files_before);
  static_assert(noexcept(source.sample(ec)));
}

TEST_CASE("linux: bytes at random are errors or figures, never more") {
  test::random r(17);
  fake_system system;
  const std::vector<std::string> files{"proc/meminfo",
                                       "proc/self/cgroup",
                                       "proc/self/statm",
                                       "cgroup" + own + "/memory.max",
                                       "cgroup" + own + "/memory.current",
                                       "cgroup" + own + "/memory.stat",
                                       "cgroup" + own + "/memory.pressure"};
  const std::vector<std::string> texts{meminfo,       "0::" + own + "\n", "90000 2560 375 5 0 123 0\n",
                                       "104857600\n", "52428800\n",       memory_stat,
                                       calm};
  for (std::size_t i = 0; i < files.size(); ++i) system.write(files[i], texts[i]);
  for (int round = 0; round < 400; ++round) {
    const auto which = r.below(static_cast<std::uint32_t>(files.size()));
    std::string text = texts[which];
    for (auto edits = r.below(4) + 1; edits > 0; --edits) {
      const auto place = r.below(static_cast<std::uint32_t>(text.size()) + 1);
      const auto kind = r.below(4);
      if (kind == 0) text.resize(place);
      if (kind == 1) text.insert(place, 1, "0123456789 -:\nkBmax/"[r.below(20)]);
      if (kind == 2 && place < text.size()) text[place] = static_cast<char>(r.below(256));
      if (kind == 3) text += text.substr(place);
    }
    system.write(files[which], text);
    std::error_code ec;
    const auto sample = system.source().sample(ec);
    const double usage = alidade::usage(sample);
    CHECK((ec || (usage >= 0 && usage <= 1)));
    system.write(files[which], texts[which]);
  }
  check_is(system.sample(), linux_limit::cgroup_max, 40 * mib, 100 * mib);
}

namespace {

/// What the child in the real group does; the number of the step that failed, 0 for none. Nothing is printed: the
/// output is the parent's.
int fill_real_group(const std::string& group) {
  std::ofstream(group + "/cgroup.procs") << ::getpid() << std::endl;
  memory_monitor monitor(linux_memory_source(), {.capacity = 4});
  std::error_code ec;
  monitor.sample(ec);
  if (ec) return 1;
  const linux_memory_sample empty = monitor.source().sample(ec);
  if (ec || empty.limit != linux_limit::cgroup_max || empty.limit_bytes != 256 * mib) return 2;
  if (monitor.pressure() > 0.3) return 3;
  // Pages from the kernel and back to it: an allocator, and more so a sanitizer's, may keep what it is given.
  constexpr std::size_t block_bytes = 16 * mib;
  std::vector<void*> blocks;
  double last = monitor.pressure();
  for (int i = 0; i < 12; ++i) {
    void* const block = ::mmap(nullptr, block_bytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (block == MAP_FAILED) return 4;
    blocks.push_back(block);
    const double pressure = monitor.sample(ec);
    if (ec || (i < 4 && pressure <= last)) return 5;
    last = pressure;
  }
  const linux_memory_sample full = monitor.source().sample(ec);
  if (ec || full.used_bytes < empty.used_bytes + 190 * mib || full.resident_bytes < 190 * mib) return 6;
  if (monitor.tier() == alidade::pressure_tier::low) return 7;
  for (void* const block : blocks) ::munmap(block, block_bytes);
  for (int i = 0; i < 8; ++i) monitor.sample(ec);
  if (ec || monitor.pressure() > 0.3 || monitor.tier() != alidade::pressure_tier::low) return 8;
  return 0;
}

}  // namespace

TEST_CASE("linux: pressure rises in a real group with a limit") {
  const std::string group = "/sys/fs/cgroup/alidade_test_" + std::to_string(::getpid());
  const auto write = [&](const std::string& file, const std::string& text) {
    std::ofstream stream(group + file);
    return static_cast<bool>(stream << text << std::flush);
  };
  std::error_code ec;
  if (!std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers", ec)) {
    MESSAGE("skipped: /sys/fs/cgroup is not cgroup v2");
    return;
  }
  if (!std::filesystem::create_directory(group, ec)) {
    MESSAGE("skipped: no group can be made in /sys/fs/cgroup: " << ec.message());
    return;
  }
  if (!std::filesystem::exists(group + "/memory.max", ec) ||
      !write("/memory.max", std::to_string(256 * mib))) {
    MESSAGE("skipped: groups in /sys/fs/cgroup have no memory controller, or it may not be set");
  } else {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(fill_real_group(group));
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  std::filesystem::remove(group, ec);
  CHECK_FALSE(ec);
}

#endif
