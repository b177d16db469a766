"""The twin of bench/engine in PyTorch: one measurement a process, printed as one line of JSON.

It takes the flags of bench/job, makes the same tokens and loads the weights that `engine --task=export` wrote. The model is written as one
would write it for speed: query, key and value projections as one matrix, gate and up as one, fused attention, fused AdamW, the
output layer for scored tokens alone. With --compile, forward passes and losses go through torch.compile. Sampling is
transformers' generate with its cache.
"""

import argparse
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

BETAS, EPS, CLIP_NORM, RATE = (0.9, 0.95), 1e-5, 1.0, 1e-6
DECAY = 0.01  # supervised steps; PPO's don't decay
GAMMA, LAMBDA, KL_COEF = 1.0, 0.95, 0.01
PEAK_SIDE = 2048
WORDS = 1 << 26
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
CHECK_STEPS, CHECK_RATE, CHECK_BETA = 10, 1e-3, 0.05


class Clip:
    """Settings of the clipped loss: the defaults of hone's ppo.Config."""

    low, high, dual, value, value_coef, entropy_coef, beta = 0.2, 0.28, 0.0, 0.2, 0.5, 0.0, 0.0


class CheckClip(Clip):
    """Those of the check, in which every term takes part."""

    dual, entropy_coef, beta = 3.0, 0.01, CHECK_BETA


class Block(torch.nn.Module):
    """One layer: x + attention(norm(x)), then x + swiglu(norm(x))."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        d, kv = c["width"], c["kv_heads"] * c["width"] // c["heads"]
        self.norm1 = torch.nn.Parameter(torch.ones(d))
        self.qkv = torch.nn.Parameter(torch.empty(d + 2 * kv, d))
        self.out = torch.nn.Parameter(torch.empty(d, d))
        self.norm2 = torch.nn.Parameter(torch.ones(d))
        self.gate_up = torch.nn.Parameter(torch.empty(2 * c["hidden"], d))
        self.down = torch.nn.Parameter(torch.empty(d, c["hidden"]))

    def forward(self, x, cos, sin):
        c = self.c
        b, t, d = x.shape
        dim = d // c["heads"]
        h = F.linear(F.rms_norm(x, (d,), self.norm1, c["norm_eps"]), self.qkv).view(b, t, -1, dim).transpose(1, 2)
        q, k, v = h.split((c["heads"], c["kv_heads"], c["kv_heads"]), dim=1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=c["heads"] != c["kv_heads"])
        x = x + F.linear(h.transpose(1, 2).reshape(b, t, d), self.out)
        gate, up = F.linear(F.rms_norm(x, (d,), self.norm2, c["norm_eps"]), self.gate_up).chunk(2, dim=-1)
        return x + F.linear(F.silu(gate) * up, self.down)


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Policy(torch.nn.Module):
    """A decoder of Llama's shape with a value head; the embedding is the output matrix too."""

    def __init__(self, c, dtype=torch.float32):
        super().__init__()
        self.c = c
        self.embedding = torch.nn.Parameter(torch.empty(c["vocab"], c["width"]))
        self.blocks = torch.nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = torch.nn.Parameter(torch.ones(c["width"]))
        self.value = torch.nn.Parameter(torch.zeros(c["width"]))
        self.bias = torch.nn.Parameter(torch.zeros(1))
        dim = c["width"] // c["heads"]
        frequency = c["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        angle = torch.outer(torch.arange(c["context"], dtype=torch.float64), frequency)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        self.to(dtype)

    def forward(self, tokens):
        x = F.embedding(tokens, self.embedding)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        return F.rms_norm(x, x.shape[-1:], self.norm, self.c["norm_eps"])

    def named(self):
        """The tensors under the names of the file, views where several are one matrix here."""
        c = self.c
        kv = c["kv_heads"] * c["width"] // c["heads"]
        yield "model.embed_tokens.weight", self.embedding, slice(None)
        for i, b in enumerate(self.blocks):
            at, d = f"model.layers.{i}.", c["width"]
            yield at + "input_layernorm.weight", b.norm1, slice(None)
            yield at + "self_attn.q_proj.weight", b.qkv, slice(0, d)
            yield at + "self_attn.k_proj.weight", b.qkv, slice(d, d + kv)
            yield at + "self_attn.v_proj.weight", b.qkv, slice(d + kv, None)
            yield at + "self_attn.o_proj.weight", b.out, slice(None)
            yield at + "post_attention_layernorm.weight", b.norm2, slice(None)
            yield at + "mlp.gate_proj.weight", b.gate_up, slice(0, c["hidden"])
            yield at + "mlp.up_proj.weight", b.gate_up, slice(c["hidden"], None)
            yield at + "mlp.down_proj.weight", b.down, slice(None)
        yield "model.norm.weight", self.norm, slice(None)
        yield "value_head.weight", self.value, slice(None)
        yield "value_head.bias", self.bias, slice(None)

    def load(self, folder):
        tensors = load_file(os.path.join(folder, "model.safetensors"))
        with torch.no_grad():
            for name, parameter, rows in self.named():
                parameter[rows] = tensors.pop(name)
        if tensors:
            sys.exit(f"engine.py: the file has more than the model: {sorted(tensors)}")
        return self

    def optimizer(self, rate, decay):
        matrices = [p for p in self.parameters() if p.dim() > 1]
        vectors = [p for p in self.parameters() if p.dim() == 1]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=rate, betas=BETAS, eps=EPS, fused=True)


def score(model, tokens, prompt):
    """Log-probability, logits and value where the completion's tokens are predicted: [B, C], [B, C, V], [B, C]."""
    h = model(tokens)[:, prompt - 1 : -1]
    logits = F.linear(h, model.embedding)
    logp = -F.cross_entropy(logits.flatten(0, 1), tokens[:, prompt:].flatten(), reduction="none").view(h.shape[:2])
    return logp, logits, h @ model.value + model.bias


def entropy_of(logits):
    logp = F.log_softmax(logits, dim=-1)
    return -(logp.exp() * logp).sum(-1)


def clipped_loss(c, logp, entropy, value, rows):
    """PPO's loss, mean over the tokens, with hone's bounds: arXiv:1707.06347 eq. 7, arXiv:2503.14476, arXiv:1912.09729."""
    ratio = (logp - rows["logp_old"]).clamp(-20, 20).exp()
    a = rows["advantages"]
    policy = torch.maximum(-a * ratio, -a * ratio.clamp(1 - c.low, 1 + c.high))
    if c.dual:
        policy = torch.where(a < 0, torch.minimum(policy, -a * c.dual), policy)
    held = torch.maximum(torch.minimum(value, rows["values_old"] + c.value), rows["values_old"] - c.value)
    critic = torch.maximum((value - rows["returns"]) ** 2, (held - rows["returns"]) ** 2) / 2
    loss = policy + c.value_coef * critic
    if c.entropy_coef:
        loss = loss - c.entropy_coef * entropy
    if c.beta:
        d = logp - rows["logp_ref"]
        loss = loss + c.beta * ((-d).exp() - 1 + d)
    return loss.mean()


def advantages(rewards, values):
    """GAE for sequences that end with their last token, and its returns. arXiv:1506.02438, eq. 16."""
    out = torch.empty_like(rewards)
    after, running = torch.zeros_like(values[:, 0]), torch.zeros_like(values[:, 0])
    for t in range(rewards.shape[1] - 1, -1, -1):
        running = rewards[:, t] + GAMMA * after - values[:, t] + GAMMA * LAMBDA * running
        out[:, t], after = running, values[:, t]
    return out, out + values


def token_table(batch, length, vocab):
    """The tokens of bench/job: [B, length]."""
    b = np.arange(batch, dtype=np.uint32)[:, None]
    t = np.arange(length, dtype=np.uint32)[None, :]
    x = b * np.uint32(2654435761) + t * np.uint32(40503) + np.uint32(12345)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x45D9F3B)
    x ^= x >> np.uint32(16)
    return torch.from_numpy((x % np.uint32(vocab)).astype(np.int64))


def peak_memory():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


class Bench:
    """One measurement on its way."""

    def __init__(self, flags):
        self.flags = flags
        self.figures = {}
        self.seconds = 0.0
        self.about = {"python": sys.version.split()[0], "torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
        self.compile = (lambda f: torch.compile(f, dynamic=False)) if flags.compile else (lambda f: f)

    def config(self):
        with open(os.path.join(self.flags.folder, "config.json"), encoding="utf-8") as f:
            return json.load(f)

    def timed(self, step):
        for _ in range(self.flags.warmup):
            step()
        began = time.perf_counter()
        for _ in range(self.flags.steps):
            step()
        self.seconds = time.perf_counter() - began

    def data(self, c):
        f = self.flags
        return token_table(f.batch, f.prompt + f.new, c["vocab"])

    def supervised(self):
        c = self.config()
        model, tokens = Policy(c).load(self.flags.folder), self.data(c)
        optimizer = model.optimizer(RATE, DECAY)
        loss_of = self.compile(lambda: -score(model, tokens, self.flags.prompt)[0].mean())

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            return loss.item()

        self.timed(step)

    def update(self):
        c, prompt = self.config(), self.flags.prompt
        model, reference = Policy(c).load(self.flags.folder), Policy(c).load(self.flags.folder)
        tokens = self.data(c)
        optimizer = model.optimizer(RATE, 0.0)
        rewards = torch.zeros(self.flags.batch, self.flags.new)
        rewards[::3, -1] = 1

        def scores(m):
            logp, _, value = score(m, tokens, prompt)
            return logp, value

        def loss_of(rows):
            logp, logits, value = score(model, tokens, prompt)
            return clipped_loss(Clip, logp, None, value, rows), logp, logits

        def statistics(logp, logits, rows):
            delta = logp - rows["logp_old"]
            ratio = delta.exp()
            outside = (ratio < 1 - Clip.low) | (ratio > 1 + Clip.high)
            k3 = (rows["logp_ref"] - logp).exp() - 1 + logp - rows["logp_ref"]
            return torch.stack((entropy_of(logits).mean(), -delta.mean(), k3.mean(), outside.float().mean(), (ratio - 1).abs().max()))

        scores, loss_of, statistics = self.compile(scores), self.compile(loss_of), self.compile(statistics)

        def step():
            with torch.no_grad():
                logp_old, values_old = scores(model)
                logp_ref, _ = scores(reference)
                raw, returns = advantages(rewards - KL_COEF * (logp_old - logp_ref), values_old)
                white = (raw - raw.mean()) / (raw.var() + 1e-8).sqrt()
                rows = {"logp_old": logp_old, "logp_ref": logp_ref, "values_old": values_old, "advantages": white, "returns": returns}
            optimizer.zero_grad(set_to_none=True)
            loss, logp, logits = loss_of(rows)
            loss.backward()
            with torch.no_grad():
                seen = statistics(logp.detach(), logits.detach(), rows)
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            return loss.item(), norm.item(), seen.tolist()

        self.timed(step)

    def transformer(self, c):
        """The same weights in Hugging Face's model, which has no value head."""
        import transformers

        self.about["transformers"] = transformers.__version__
        transformers.logging.set_verbosity_error()
        config = transformers.LlamaConfig(
            vocab_size=c["vocab"], hidden_size=c["width"], intermediate_size=c["hidden"], num_hidden_layers=c["layers"],
            num_attention_heads=c["heads"], num_key_value_heads=c["kv_heads"], max_position_embeddings=c["context"],
            rms_norm_eps=c["norm_eps"], rope_parameters={"rope_type": "default", "rope_theta": c["rope_theta"]},
            tie_word_embeddings=True, bos_token_id=None, eos_token_id=None, pad_token_id=None, attn_implementation="sdpa",
        )
        model = transformers.LlamaForCausalLM(config).eval()
        tensors = {k: v for k, v in load_file(os.path.join(self.flags.folder, "model.safetensors")).items() if not k.startswith("value_head.")}
        missing, unexpected = model.load_state_dict(tensors, strict=False)
        if unexpected or set(missing) - {"lm_head.weight"}:
            sys.exit(f"engine.py: the weights don't fit: missing {missing}, unexpected {unexpected}")
        model.tie_weights()
        return model

    def sample(self):
        c, f = self.config(), self.flags
        model = self.transformer(c).to(PRECISIONS[f.precision])
        drawn = token_table(f.batch * (f.warmup + f.steps), f.prompt, c["vocab"]).split(f.batch)
        prompts = iter(drawn)
        settings = dict(
            attention_mask=torch.ones_like(drawn[0]), do_sample=True, temperature=1.0, top_k=0, top_p=1.0, use_cache=True,
            max_new_tokens=f.new,
        )
        torch.manual_seed(1)

        def step():
            with torch.inference_mode():
                out = model.generate(next(prompts), **settings)
            if out.shape != (f.batch, f.prompt + f.new):
                sys.exit(f"engine.py: generate gave {tuple(out.shape)}, want {(f.batch, f.prompt + f.new)}")

        self.timed(step)

    def peak(self):
        i = torch.arange(PEAK_SIDE * PEAK_SIDE)
        x = (i % 13 - 6).float().view(PEAK_SIDE, PEAK_SIDE)
        y = (i % 7 - 3).float().view(PEAK_SIDE, PEAK_SIDE)
        z = torch.empty(PEAK_SIDE, PEAK_SIDE)
        self.timed(lambda: torch.mm(x, y.t(), out=z))
        self.figures["gflops"] = 2 * PEAK_SIDE**3 * self.flags.steps / self.seconds / 1e9

    def bandwidth(self):
        x = torch.arange(WORDS, dtype=torch.float64)
        self.timed(x.sum)
        self.figures["read_gbs"] = 8 * WORDS * self.flags.steps / self.seconds / 1e9
        y, z = torch.ones(WORDS, dtype=torch.float64), torch.empty(WORDS, dtype=torch.float64)
        self.timed(lambda: torch.add(x, y, alpha=3, out=z))
        self.figures["triad_gbs"] = 24 * WORDS * self.flags.steps / self.seconds / 1e9

    def check(self):
        """Largest deviations of hone's numbers from float64's, relative to the largest number of each kind."""
        c, f = self.config(), self.flags
        with open(os.path.join(f.folder, "check.json"), encoding="utf-8") as file:
            theirs = json.load(file)
        model = Policy(c, torch.float64).load(f.folder)
        tokens = self.data(c)

        def scored(name):
            rows = torch.tensor(theirs[name], dtype=torch.float64).view(f.batch, f.prompt + f.new)
            return rows[:, f.prompt - 1 : -1]

        rows = {name: scored(name) for name in ("logp_old", "logp_ref", "advantages", "returns", "values_old")}
        logp, logits, value = score(model, tokens, f.prompt)
        entropy = entropy_of(logits)
        for name, ours in (("logp", logp), ("entropy", entropy), ("value", value)):
            self.figures[name] = deviation(scored(name), ours.detach())
        with torch.no_grad():
            self.distribution(c, model, tokens, theirs)
        clipped = clipped_loss(CheckClip, logp, entropy, value, rows)
        self.figures["clipped_loss"] = deviation(torch.tensor(theirs["clipped_loss"]), clipped.detach())
        clipped.backward()
        self.gradients(model, "gradient-clipped.safetensors", "clipped_gradient")

        losses, optimizer = [], model.optimizer(CHECK_RATE, DECAY)
        for step in range(CHECK_STEPS):
            optimizer.zero_grad(set_to_none=True)
            loss = -score(model, tokens, f.prompt)[0].mean()
            losses.append(loss.item())
            loss.backward()
            if step == 0:
                self.gradients(model, "gradient-supervised.safetensors", "supervised_gradient")
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
        for i, (a, b) in enumerate(zip(theirs["step_losses"], losses, strict=True), 1):
            self.figures[f"loss_{i:02d}_hone"], self.figures[f"loss_{i:02d}_float64"] = a, b
        self.figures["step_losses"] = max(abs(a - b) / abs(b) for a, b in zip(theirs["step_losses"], losses, strict=True))

    def distribution(self, c, model, tokens, theirs):
        """Logits of the token after a prefix, up to their common shift: hone's and transformers' against float64's."""
        prefix = tokens[:1, : self.flags.prompt - 1]
        ours = F.log_softmax(F.linear(model(prefix)[0, -1], model.embedding), dim=-1)
        given = torch.tensor(theirs["next_logp"], dtype=torch.float64)
        self.figures["logits"] = deviation(given, ours[: len(given)])
        hugging = F.log_softmax(self.transformer(c)(prefix).logits[0, -1].double(), dim=-1)
        self.figures["logits_transformers"] = deviation(hugging, ours)

    def gradients(self, model, name, figure):
        """The worst tensor's largest deviation, relative to that tensor's largest gradient."""
        theirs = load_file(os.path.join(self.flags.folder, name))
        worst = 0.0
        for name, parameter, rows in model.named():
            ours = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            worst = max(worst, deviation(theirs[name], ours[rows]))
        self.figures[figure] = worst


def deviation(theirs, ours):
    """max |theirs - ours| / max |ours|, or the former where ours are all zero."""
    scale = ours.abs().max().item()
    return (theirs.double() - ours).abs().max().item() / (scale or 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, choices=("update", "supervised", "sample", "peak", "bandwidth", "check"))
    parser.add_argument("--size", default="1m")
    parser.add_argument("--folder", default=".")
    for name, default in (("batch", 1), ("prompt", 16), ("new", 48), ("warmup", 1), ("steps", 1), ("threads", 2)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS, help="of the model, in sampling")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    bench = Bench(flags)
    getattr(bench, flags.task)()
    transformers = "transformers" if flags.precision == "float32" else "transformers, " + flags.precision
    engine = transformers if flags.task == "sample" else "compiled" if flags.compile else "eager"
    job = {name: getattr(flags, name) for name in ("task", "size", "batch", "prompt", "new", "warmup", "steps", "threads")}
    print(json.dumps(job | {
        "engine": engine, "seconds": bench.seconds, "peak_bytes": peak_memory(), "figures": bench.figures, "about": bench.about,
    }))


if __name__ == "__main__":
    main()
