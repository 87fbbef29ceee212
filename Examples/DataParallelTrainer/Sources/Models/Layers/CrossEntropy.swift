import Foundation

/// The loss of a choice among classes: minus the logarithm of the probability that softmax gives to the right one.
enum CrossEntropy {
  /// - Parameters:
  ///   - logits: One row for each target. Used up: with `gradientScale`, they are replaced by the gradient of the sum of
  ///     the losses, times `gradientScale`.
  ///   - targets: Classes, in the range of `logits`' columns.
  static func score<Element: Scalar>(
    _ logits: Matrix<Element>, _ targets: [Int32], gradientScale: Double? = nil
  ) -> Evaluation {
    var result = Evaluation(targets: targets.count)
    let classes = logits.columns
    for index in targets.indices {
      let row = logits.row(index)
      let target = Int(targets[index])
      var best = 0
      for column in 0..<classes where row[column] > row[best] { best = column }
      if best == target { result.correct += 1 }

      let (largest, targetLogit) = (row[best], row[target])
      for column in 0..<classes { row[column] = Element.exp(row[column] - largest) }
      let total = sum(row, classes)
      result.lossSum += log(Double(total)) + Double(largest - targetLogit)

      if let gradientScale {
        let factor = Element(gradientScale) / total
        for column in 0..<classes { row[column] *= factor }
        row[target] -= Element(gradientScale)
      }
    }
    return result
  }
}
