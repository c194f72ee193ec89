// Students answer the run's questions here, a few at a time: the name of one goes in, a file of its
// answers comes out, as `lskd answers` would have made it.
import { pause } from "/static/outbox.js";
import { api } from "/static/studio.js";

const PATIENCE = 12; // tries while students are busy with what others ask

// `tell` is told how many of how many questions are asked by now.
export async function answers(student, count, tell) {
  const made = { name: `${student}.jsonl`, text: "", systems: {}, faults: [] };
  let [done, total] = [0, count];
  tell(done, total);
  for (let tries = 0; done < total; ) {
    try {
      const part = await api("/api/compare/answers", { body: { student, count, after: done } });
      made.text += part.text;
      made.faults.push(...part.faults);
      ({ done, total } = part);
      tries = 0;
      tell(done, total);
    } catch (error) {
      if (error.status !== 503 || tries === PATIENCE) throw error;
      await pause(tries++);
    }
  }
  made.systems[student] = total - made.faults.length;
  return made;
}
