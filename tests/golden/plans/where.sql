-- title: a filter is kept and costs nothing extra
SELECT count(*) FROM liver.patients WHERE age >= 40;
--> reads liver.patients (one row a person): patient_id, age
--> keeps rows where age >= 40
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: and, or, not
SELECT count(*) FROM liver.patients WHERE (age > 60 OR bmi > 30) AND NOT died;
--> reads liver.patients (one row a person): patient_id, age, bmi, died
--> keeps rows where not died and ((bmi > 30) or (age > 60))
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: in, between, like
SELECT count(*) FROM liver.patients WHERE site IN ('north', 'south') AND age BETWEEN 30 AND 50 AND postcode LIKE 'N%' AND site NOT ILIKE '%east';
--> reads liver.patients (one row a person): patient_id, age, site, postcode
--> keeps rows where (site in ('north', 'south')) and (age >= 30) and (age <= 50) and (postcode like 'N%') and not (site ilike '%east')
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: null is asked for by name
SELECT count(*) FROM liver.patients WHERE bmi IS NULL AND weight_kg IS NOT NULL AND site IS DISTINCT FROM 'north' AND height_cm IS NOT DISTINCT FROM weight_kg;
--> reads liver.patients (one row a person): patient_id, weight_kg, height_cm, bmi, site
--> keeps rows where bmi is null and weight_kg is not null and not ('north' is site) and (height_cm is weight_kg)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: a condition column stands alone
SELECT count(*) FROM liver.patients WHERE is_male AND died IS NOT TRUE;
--> reads liver.patients (one row a person): patient_id, is_male, died
--> keeps rows where not (true is died) and is_male
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: 1 and 0 mean true and false beside a condition column
SELECT count(*) FROM liver.patients WHERE is_male = 1 AND died <> 1;
--> reads liver.patients (one row a person): patient_id, is_male, died
--> keeps rows where (is_male = true) and (died <> true)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: both forms of CASE
SELECT count(*) FROM liver.patients WHERE CASE WHEN age < 50 THEN bmi > 25 ELSE bmi > 30 END AND CASE site WHEN 'north' THEN 1 WHEN 'south' THEN 2 END = 1;
--> reads liver.patients (one row a person): patient_id, age, bmi, site
--> keeps rows where case when age < 50 then bmi > 25 else bmi > 30 end and (case when site = 'north' then 1 when site = 'south' then 2 else null end = 1)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: arithmetic, COALESCE, NULLIF, IF
SELECT count(*) FROM liver.patients WHERE coalesce(bmi, weight_kg / nullif((height_cm / 100) ^ 2, 0)) > 30 AND if(died, age, follow_up_days) > 50 AND age % 2 = 0 AND age // 10 = 4;
--> reads liver.patients (one row a person): patient_id, age, weight_kg, height_cm, bmi, follow_up_days, died
--> keeps rows where ((age // 10) = 4) and ((age % 2) = 0) and (coalesce(bmi, weight_kg / nullif(power(height_cm / 100, 2), 0)) > 30) and (case when died then age else follow_up_days end > 50)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: casts give NULL where they fail
SELECT count(*) FROM liver.patients WHERE cast(postcode AS INTEGER) > 1000 AND try_cast(postcode AS DOUBLE) < 2000 AND age::VARCHAR = '44';
--> reads liver.patients (one row a person): patient_id, age, postcode
--> keeps rows where (to_str(age) = '44') and (to_float(postcode) < 2000) and (to_int(postcode) > 1000)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: text functions
SELECT count(*) FROM liver.patients WHERE lower(trim(postcode)) = 'n1' AND upper(postcode) LIKE 'N%' AND length(postcode) = 5 AND substring(postcode, 1, 2) = 'N1' AND left(postcode, 1) || right(postcode, 1) = 'NX' AND replace(postcode, ' ', '') = 'X' AND starts_with(postcode, 'N') AND contains(postcode, '1') AND concat(site, '-', postcode) = 'north-N1';
--> reads liver.patients (one row a person): patient_id, site, postcode
--> keeps rows where contains(postcode, '1') and ((coalesce(site, '') || '-' || coalesce(postcode, '')) = 'north-N1') and ((left(postcode, 1) || right(postcode, 1)) = 'NX') and (length(postcode) = 5) and (lower(trim(postcode)) = 'n1') and (replace(postcode, ' ', '') = 'X') and (substring(postcode, 1, 2) = 'N1') and (upper(postcode) like 'N%') and starts_with(postcode, 'N')
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: number functions
SELECT count(*) FROM liver.patients WHERE abs(bmi - 25) < 5 AND round(bmi, 1) = 24.9 AND floor(bmi) = 24 AND ceil(bmi) = 25 AND sqrt(bmi) > 5 AND ln(bmi) < 4 AND log10(bmi) < 2 AND exp(bmi / 100) < 2 AND sign(bmi - 25) = 1 AND power(bmi, 2) > 600 AND least(bmi, 30) < greatest(age, 20);
--> reads liver.patients (one row a person): patient_id, age, bmi
--> keeps rows where (ceil(bmi) = 25) and (floor(bmi) = 24) and (round(bmi, 1) = 24.9) and (sign(bmi - 25) = 1) and (abs(bmi - 25) < 5) and (exp(bmi / 100) < 2) and (least(bmi, 30) < greatest(age, 20)) and (ln(bmi) < 4) and (log10(bmi) < 2) and (sqrt(bmi) > 5) and (power(bmi, 2) > 600)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: a text beside a date column is a date
SELECT count(*) FROM liver.patients WHERE born > '1950-01-31' AND seen < '2020-06-01' AND born BETWEEN '1940-01-01' AND DATE '1960-12-31';
--> reads liver.patients (one row a person): patient_id, born, seen
--> keeps rows where (born >= '1940-01-01') and (born <= '1960-12-31') and (born > '1950-01-31') and (seen < '2020-06-01T00:00:00')
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: dates have parts, differences and days to add
SELECT count(*) FROM liver.patients WHERE year(born) = 1950 AND extract(month FROM born) = 2 AND date_part('quarter', born) = 1 AND isodow(born) = 7 AND hour(seen) >= 12 AND date_diff('day', born, DATE '2000-01-01') > 10000 AND born + INTERVAL 30 DAY < '1960-01-01' AND date_trunc('year', born) = '1950-01-01' AND DATE '2000-01-01' - born > 5;
--> reads liver.patients (one row a person): patient_id, born, seen
--> keeps rows where (iso_weekday(born) = 7) and (month(born) = 2) and (quarter(born) = 1) and (trunc_year(born) = '1950-01-01') and (year(born) = 1950) and (hour(seen) >= 12) and (add_days(born, 30) < '1960-01-01') and (days_between(born, '2000-01-01') > 10000) and (days_between(born, '2000-01-01') > 5)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: > and < on either side are the same question
SELECT count(*) FROM liver.patients WHERE 40 <= age AND 60 > age;
--> reads liver.patients (one row a person): patient_id, age
--> keeps rows where (age >= 40) and (age < 60)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: an unknown value simply finds no rows
SELECT count(*) FROM liver.patients WHERE site = 'west';
--> reads liver.patients (one row a person): patient_id, site
--> keeps rows where site = 'west'
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: the person may be compared, at the usual price
SELECT count(*) FROM liver.patients WHERE patient_id < 1000;
--> reads liver.patients (one row a person): patient_id
--> keeps rows where patient_id < 1000
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1
