import Foundation

/// Lets `model` continue a text, one token at a time. The same model, prompt and seed give the same text.
///
/// - Parameters:
///   - prompt: At least one token. The model looks at the last `context` of the text so far.
///   - count: Tokens to add.
///   - temperature: Logits are divided by it: 1 draws as the model predicts, less plays safe, 0 always takes the
///     likeliest token.
/// - Returns: The new tokens, without the prompt.
/// - Throws: ``ModelError`` if the prompt is empty or has tokens that the model does not know, if `temperature` is
///   negative, or if the model predicts no numbers (NaN).
/// - Complexity: `count` passes forward; nothing is kept from one to the next.
public func sample<Element: Scalar>(
  from model: LanguageModel<Element>, prompt: [Int32], count: Int, temperature: Double = 1, seed: UInt64
) throws(ModelError) -> [Int32] {
  guard !prompt.isEmpty else { throw ModelError("the prompt is empty; give at least one token to go on from") }
  guard temperature >= 0 else { throw ModelError("a temperature of \(temperature) is negative; give 0 or more") }
  try check(prompt, below: model.vocabulary, "prompt token")
  var random = RandomNumbers(seed: seed)
  var text = prompt
  for _ in 0..<count {
    let logits = model.logits(after: text.suffix(model.context)).map(Double.init)
    guard logits.allSatisfy(\.isFinite) else {
      throw ModelError("the model predicts numbers that are not finite after \(text.count) tokens: its training diverged")
    }
    text.append(Int32(draw(logits, temperature: temperature, &random)))
  }
  return Array(text.dropFirst(prompt.count))
}

private func draw(_ logits: [Double], temperature: Double, _ random: inout RandomNumbers) -> Int {
  let best = logits.indices.max { logits[$0] < logits[$1] }!
  if temperature == 0 { return best }
  let weights = logits.map { exp(($0 - logits[best]) / temperature) }
  var left = random.nextUniform() * weights.reduce(0, +)
  for (index, weight) in weights.enumerated() {
    left -= weight
    if left < 0 { return index }
  }
  return best
}
