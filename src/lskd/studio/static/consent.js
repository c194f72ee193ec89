// The consent text: agreeing to it is kept, then the work begins.
import { api, find, told } from "/static/studio.js";

const { campaign, digest, page } = find("#consent").dataset;
find("#agree").addEventListener(
  "click",
  told(async () => {
    await api(`/api/${page}/${encodeURIComponent(campaign)}/consent`, { body: { digest } });
    location.replace(`/${page}?campaign=${encodeURIComponent(campaign)}`);
  }),
);
find("#agree").disabled = false;
find("#agree").focus({ preventScroll: true });
