#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/engine/detail/rule_choice.hpp>
#include <alidade/engine/detail/stop_features.hpp>
#include <alidade/engine/detail/stop_values.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/q_table.hpp>
#include <alidade/storage/section_file.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What one search was like at each of its steps.
struct studied_step {
  stop_features features;
  double recall = 0;       ///< of what was found when nothing better seemed to come
  double cost = 0;         ///< distance computations until then
  double deep_recall = 0;  ///< of a deep study, which went on to the end: of what was found there
};

/// Learns when to end searches, and judges rules for it: at each price "go on where that is worth more", and beside these for each
/// step "end there".
///
/// A rule looks better in the studies that it was learnt from than it is. So there are two sets of values, each learnt from every
/// other study, and a rule is both of them in turns, each judged by what it would have done in the studies of the other.
class stop_learner {
 public:
  static constexpr std::size_t prices = stop_values::prices;

  stop_learner(std::span<const std::uint32_t> widths, memory_resource* memory)
      : widths_(widths.begin(), widths.end(), memory),
        states_(widths.size(), memory),
        halves_{stop_values(widths.size(), memory), stop_values(widths.size(), memory)},
        records_(prices + widths.size(), rule_record{}, memory),
        kept_(memory),
        deep_(memory),
        weights_(memory),
        samples_(memory) {
    samples_.reserve(calibration_studies * steps());
    deep_.reserve(most_kept);
    weights_.reserve(most_kept);
    kept_.reserve(most_kept * steps());  // now, so that no search must wait for it later
  }

  std::size_t steps() const noexcept { return widths_.size(); }
  std::uint32_t width(std::size_t step) const noexcept { return widths_[step]; }
  std::uint64_t studies() const noexcept { return studies_; }

  /// Of each rule, when judge() was called last.
  std::span<const rule_record> records() const noexcept { return records_; }

  /// The number of what a search looks like.
  std::size_t look(std::size_t step, const stop_features& features) const noexcept {
    return states_.of(step, features);
  }

  static constexpr std::size_t halves = 2;

  /// Whether a rule goes on from there, by one of the two sets of values.
  bool goes_on(std::size_t half, std::size_t rule, std::size_t step, std::size_t look) const noexcept {
    if (step + 1 >= steps()) return false;
    return rule < prices ? halves_[half].goes_on(rule, step, look) : step < rule - prices;
  }

  /// Learns from a study. The first ones only show what searches look like.
  void add(std::span<const studied_step> study, bool is_deep = false) {
    if (studies_ < calibration_studies) {
      samples_.insert(samples_.end(), study.begin(), study.end());
      samples_.resize(static_cast<std::size_t>(studies_ + 1) * steps());
      if (studies_ + 1 == calibration_studies) calibrate();
      ++studies_;
      return;
    }
    const std::size_t place = static_cast<std::size_t>(studies_ - calibration_studies) % most_kept;
    stand_in_for_missed();
    keep(study, place, is_deep);
    const std::span<const kept_step> kept(kept_.data() + place * steps(), steps());
    halves_[half_of(place)].learn(kept, unit_cost_);
    ++studies_;
  }

  /// Of a search that should have been studied, and was not. As many studies as were missed in a row, those before them, or all there
  /// are, count once more for them.
  void miss() noexcept { ++missed_; }

  /// Judges all rules by the studies that are kept. What most of them miss, because they end when nothing better seems to come, is
  /// taken from the deep ones: the mean over all, and the mean difference of these (a control variate). Takes about 30 ns a study
  /// and rule.
  std::span<const rule_record> judge() noexcept {
    std::fill(records_.begin(), records_.end(), rule_record{});
    stand_in_for_missed();
    const std::size_t count = kept_.size() / steps();
    double all = 0, all_deep = 0;
    for (std::size_t place = 0; place < count; ++place) {
      const auto weight = static_cast<double>(weights_[place]);
      all += weight;
      all_deep += deep_[place] != 0 ? weight : 0;
    }
    const double n = std::max(all, 1.0), deep_n = std::max(all_deep, 1.0);
    for (std::size_t rule = 0; rule < records_.size(); ++rule) {
      double sum = 0, cost = 0, more = 0;
      weighted_squares of_recall, of_difference;
      for (std::size_t place = 0; place < count; ++place) {
        const kept_step* const study = kept_.data() + place * steps();
        const kept_step& ending = study[end_of(halves_[1 - half_of(place)], rule, study)];
        const auto weight = static_cast<double>(weights_[place]);
        const auto recall = static_cast<double>(ending.recall);
        const double difference = static_cast<double>(ending.deep_recall) - recall;
        sum += unfused(weight * recall);
        cost += unfused(weight * static_cast<double>(ending.cost));
        of_recall.add(weight, recall);
        if (deep_[place] == 0) continue;
        more += unfused(weight * difference);
        of_difference.add(weight, difference);
      }
      const double mean = sum / n, correction = more / deep_n;
      const double variance =
          of_recall.about(mean) / (n * n) + of_difference.about(correction) / (deep_n * deep_n);
      records_[rule] = {std::clamp(mean + correction, 0.0, 1.0), cost / n,
                        std::sqrt(std::max(variance, 0.0))};
    }
    return records_;
  }

  std::size_t memory_bytes() const noexcept {
    return sizeof(*this) + widths_.capacity() * sizeof(std::uint32_t) +
           states_.cuts().capacity() * sizeof(stop_states::step_cuts) + halves_[0].memory_bytes() +
           halves_[1].memory_bytes() + records_.capacity() * sizeof(rule_record) +
           kept_.capacity() * sizeof(kept_step) + deep_.capacity() + weights_.capacity() * sizeof(float) +
           samples_.capacity() * sizeof(studied_step);
  }

  /// Adds what was learnt to a file. It must stay as it is until that is written.
  void save(section_writer& file) const {
    file.add_value(name_of("LEAR"), saved_numbers{studies_, missed_, unit_cost_});
    file.add(name_of("WIDT"), std::span<const std::uint32_t>(widths_));
    file.add(name_of("CUTS"), std::span<const stop_states::step_cuts>(states_.cuts()));
    save(file, halves_[0], name_of("QEVE"), name_of("VEVE"));
    save(file, halves_[1], name_of("QODD"), name_of("VODD"));
    file.add(name_of("RULE"), std::span<const rule_record>(records_));
    file.add(name_of("KEPT"), std::span<const kept_step>(kept_));
    file.add(name_of("DEEP"), std::span<const std::uint8_t>(deep_));
    file.add(name_of("WEIG"), std::span<const float>(weights_));
    file.add(name_of("SAMP"), std::span<const studied_step>(samples_));
  }

  /// Takes over what was saved; false where it cannot be from here, and then the learner is of no use any more.
  bool restore(const section_reader& file) {
    saved_numbers numbers{};
    if (!file.get(name_of("LEAR"), numbers) || !is_finite(numbers.unit_cost) || numbers.unit_cost < 1)
      return false;
    studies_ = numbers.studies;
    missed_ = numbers.missed;
    unit_cost_ = numbers.unit_cost;
    const std::uint64_t n = steps(), kept = std::min<std::uint64_t>(
                                         studies_ - std::min(studies_, calibration_studies), most_kept);
    const std::uint64_t samples = studies_ < calibration_studies ? studies_ * n : 0;
    const auto widths = file.get<std::uint32_t>(name_of("WIDT"), n);
    if (!std::equal(widths.begin(), widths.end(), widths_.begin(), widths_.end())) return false;
    return assign(states_.cuts(), file.get<stop_states::step_cuts>(name_of("CUTS"), n), n) &&
           restore(file, halves_[0], name_of("QEVE"), name_of("VEVE")) &&
           restore(file, halves_[1], name_of("QODD"), name_of("VODD")) &&
           assign(records_, file.get<rule_record>(name_of("RULE"), prices + n), prices + n) &&
           assign(kept_, file.get<kept_step>(name_of("KEPT"), kept * n), kept * n) &&
           assign(deep_, file.get<std::uint8_t>(name_of("DEEP"), kept), kept) &&
           assign(weights_, file.get<float>(name_of("WEIG"), kept), kept) &&
           assign(samples_, file.get<studied_step>(name_of("SAMP"), samples), samples) && are_possible();
  }

 private:
  struct saved_numbers {
    std::uint64_t studies, missed;
    double unit_cost;
  };

  static void save(section_writer& file, const stop_values& values, section_name q, section_name visits) {
    file.add(
        q, std::span<const float>(values.table().data(), values.table().states() * values.table().stride()));
    file.add(visits, values.visits());
  }
  bool restore(const section_reader& file, stop_values& values, section_name q, section_name visits) const {
    const q_table<float>& table = values.table();
    return values.restore(file.get<float>(q, table.states() * table.stride()),
                          file.get<std::uint32_t>(visits, values.visits().size()));
  }
  template <class T>
  static bool assign(resource_vector<T>& to, std::span<const T> from, std::uint64_t count) {
    to.assign(from.begin(), from.end());
    return from.size() == count;
  }

  /// Whether numbers that were read can be what they stand for.
  bool are_possible() const noexcept {
    const auto in_unit = [](double x) { return x >= 0 && x <= 1; };
    for (const rule_record& r : records_) {
      if (!in_unit(r.recall) || !in_unit(r.error) || !(r.cost >= 0) || !is_finite(r.cost)) return false;
    }
    for (const float weight : weights_) {
      if (!is_finite(weight) || weight < 1) return false;
    }
    for (const studied_step& s : samples_) {
      if (!is_finite(s.features.stale) || !is_finite(s.features.contrast) || !(s.cost >= 0) ||
          !is_finite(s.cost))
        return false;
    }
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      const kept_step& s = kept_[i];
      const bool is_over = s.look == kept_step::over;
      if (!in_unit(static_cast<double>(s.recall)) || !in_unit(static_cast<double>(s.deep_recall)) ||
          !(s.cost > 0) || !is_finite(s.cost))
        return false;
      if (is_over ? i % steps() == 0 : s.look >= stop_states::looks) return false;
      if (!is_over && i % steps() != 0 && kept_[i - 1].look == kept_step::over) return false;
    }
    return true;
  }

  /// Which set of values learns from the study that is kept there: every other one, and every other of the deep ones, which are
  /// every fourth.
  static constexpr std::size_t half_of(std::size_t place) noexcept { return (place ^ (place >> 2)) & 1; }

  /// Adds up w^2 (x - mean)^2, with a mean that is known later.
  struct weighted_squares {
    double weights = 0, products = 0, squares = 0;
    void add(double weight, double x) noexcept {
      const double w = unfused(weight * weight), wx = unfused(w * x);
      weights += w;
      products += wx;
      squares += unfused(wx * x);
    }
    double about(double mean) const noexcept {
      return squares - 2 * unfused(mean * products) + unfused(unfused(mean * mean) * weights);
    }
  };

  static constexpr std::uint64_t calibration_studies = 128;
  static constexpr std::size_t most_kept = 4096;

  /// The step at which a rule ends the studied search; the last one of the study where it would have gone on.
  std::size_t end_of(const stop_values& values, std::size_t rule, const kept_step* study) const noexcept {
    if (rule >= prices) return rule - prices;
    std::size_t step = 0;
    while (step + 1 < steps() && study[step + 1].look != kept_step::over &&
           values.goes_on(rule, step, study[step].look)) {
      ++step;
    }
    return step;
  }

  void calibrate() {
    resource_vector<stop_features> seen(calibration_studies, samples_.get_allocator());
    double cost = 0;
    for (std::size_t step = 0; step < steps(); ++step) {
      std::size_t count = 0;
      for (std::size_t i = 0; i < calibration_studies; ++i) {
        const studied_step& s = samples_[i * steps() + step];
        if (s.cost == 0) continue;  // it was over
        seen[count++] = s.features;
        if (step == 0) cost += s.cost;
      }
      states_.calibrate(step, seen.data(), count);
    }
    unit_cost_ = std::max(cost / static_cast<double>(calibration_studies), 1.0);
    samples_ = resource_vector<studied_step>(samples_.get_allocator());
  }

  void stand_in_for_missed() noexcept {
    const std::size_t count = weights_.size();
    const auto missed = static_cast<std::size_t>(std::min<std::uint64_t>(missed_, count));
    for (std::size_t i = 1; i <= missed; ++i)
      ++weights_[static_cast<std::size_t>(studies_ - calibration_studies - i) % most_kept];
    missed_ = 0;
  }

  void keep(std::span<const studied_step> study, std::size_t place, bool is_deep) {
    if (deep_.size() <= place) deep_.resize(place + 1);
    deep_[place] = is_deep ? 1 : 0;
    if (weights_.size() <= place) weights_.resize(place + 1);
    weights_[place] = 1;
    if (kept_.size() < (place + 1) * steps()) kept_.resize((place + 1) * steps());
    kept_step* const out = kept_.data() + place * steps();
    for (std::size_t i = 0; i < steps(); ++i) {
      if (i < study.size()) {
        out[i] = {static_cast<float>(study[i].recall),
                  static_cast<float>(is_deep ? study[i].deep_recall : study[i].recall),
                  static_cast<float>(study[i].cost), static_cast<std::uint32_t>(look(i, study[i].features))};
      } else {  // a width beyond what was studied finds no more, and costs as much as it is wider than the last step was
        const float growth = static_cast<float>(widths_[i] - widths_[i - 1]);
        const float last =
            i < 2 ? static_cast<float>(widths_[0]) : static_cast<float>(widths_[i - 1] - widths_[i - 2]);
        const float cost = out[i - 1].cost - (i < 2 ? 0 : out[i - 2].cost);
        out[i] = {out[i - 1].recall, out[i - 1].deep_recall, out[i - 1].cost + cost * growth / last,
                  kept_step::over};
      }
    }
  }

  resource_vector<std::uint32_t> widths_;
  stop_states states_;
  std::array<stop_values, halves> halves_;  ///< by the studies that are kept at even and at odd places
  resource_vector<rule_record> records_;
  resource_vector<kept_step> kept_;     ///< of the last studies, steps() each
  resource_vector<std::uint8_t> deep_;  ///< which of them are deep
  resource_vector<float> weights_;      ///< for how many each stands
  std::uint64_t studies_ = 0;
  std::uint64_t missed_ = 0;               ///< since the last one
  double unit_cost_ = 1;                   ///< of a first step
  resource_vector<studied_step> samples_;  ///< of the first studies, steps() each
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
